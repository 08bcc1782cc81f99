"""What all calls to a server share: an end to waiting, a bound on trying again, and sentences for what went wrong."""

import json
import logging
from typing import Any

import urllib3

from fl_core.errors import FederationError

CONNECT_SECONDS, ANSWER_SECONDS = 10, 60
RETRIES, BACKOFF_SECONDS, BACKOFF_SECONDS_MAX = 3, 0.5, 30
RETRIED = (429, 500, 502, 503, 504)
SAID_MAX = 300


class HostError(FederationError):
    """Kubeflow Pipelines or Kubernetes cannot be reached, or does not do what it was asked."""


def quiet() -> None:
    """Keeps a command's stderr free of a line for each call that is tried again."""
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


def retries(backoff_seconds: float) -> urllib3.Retry:
    """How often a call is tried again: one that only reads or deletes; one that creates is not, because it may have been done."""
    return urllib3.Retry(
        total=RETRIES, backoff_factor=backoff_seconds, backoff_max=BACKOFF_SECONDS_MAX, status_forcelist=RETRIED, allowed_methods=("GET", "DELETE"),
        redirect=0, raise_on_status=False, raise_on_redirect=False,
    )  # fmt: skip


def bound(api_client: Any) -> None:
    """Gives every request a time limit; the generated client has none."""
    rest = api_client.rest_client
    if "request" in vars(rest):
        return
    request = rest.request

    def bounded(*words: Any, **options: Any) -> Any:
        options["_request_timeout"] = options.get("_request_timeout") or (CONNECT_SECONDS, ANSWER_SECONDS)
        return request(*words, **options)

    rest.request = bounded


def unreached(what: str, host: str, error: urllib3.exceptions.HTTPError, way_out: str) -> str:
    """Why nothing came from a host, and what to do."""
    reason = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason else error
    if isinstance(reason, urllib3.exceptions.SSLError):
        return f"The certificate of {host} is not trusted ({reason}); name your authority's certificates with --ca-file."
    if isinstance(reason, urllib3.exceptions.ReadTimeoutError):
        return f"{what} at {host} did not answer within {ANSWER_SECONDS} seconds; try again later."
    if isinstance(reason, urllib3.exceptions.ConnectTimeoutError) and not isinstance(reason, urllib3.exceptions.NewConnectionError):
        return f"{what} at {host} cannot be reached (nobody answered within {CONNECT_SECONDS} seconds); {way_out}"
    cause = str(reason).rpartition(": ")[2] or type(reason).__name__
    return f"{what} at {host} cannot be reached ({cause}); {way_out}"


def said_in(body: Any) -> str:
    """The server's own words on one line: a message in JSON, or the start of whatever came."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if isinstance(content, dict):
        text = str(content.get("message") or content.get("error_message") or content.get("error") or text)
    return " ".join(text.split())[:SAID_MAX].rstrip(".") or "it gives no reason"
