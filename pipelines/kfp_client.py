"""Kubeflow Pipelines' own client, made so that every call ends, and what it answers said in one sentence."""

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import kfp
import kfp_server_api
import urllib3
from kfp.client import ServiceAccountTokenVolumeCredentials
from kfp_server_api import ApiException

from fl_core.errors import FederationError, InputError
from pipelines.calls import BACKOFF_SECONDS, SAID_MAX, HostError, bound, retries, said_in, unreached

PAGE, PAGES_MAX = 100, 100
ALONE = "kubeflow"  # what kfp takes for no namespace
FORWARD = "kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80"


@dataclass(frozen=True)
class Access:
    """How one shows who one is: a token, a file with a token that others renew, or cookies of a browser's session; and whose certificates to trust."""

    token: str = ""
    token_file: str = ""
    cookies: str = ""
    ca_file: str = ""


class _Client(kfp.Client):  # type: ignore[misc]
    """KFP's client. Of its own it waits for ever, and asks a dead host five times while it is made."""

    def __init__(self, host: str, *, backoff_seconds: float, **options: Any) -> None:
        self._backoff_seconds = backoff_seconds
        super().__init__(host, **options)

    def _load_config(self, *words: Any) -> kfp_server_api.Configuration:
        config = super()._load_config(*words)
        config.retries = retries(self._backoff_seconds)
        return config

    def get_kfp_healthz(self, sleep_duration: int = 0) -> kfp_server_api.V2beta1GetHealthzResponse:
        """One question, asked again only as every question is."""
        bound(self._healthz_api.api_client)
        answer, _, headers = self._healthz_api.healthz_service_get_healthz_with_http_info()
        if "json" not in headers.get("Content-Type", ""):
            raise InputError(f"{self._existing_config.host} answers, but not as Kubeflow Pipelines does; end --host where its API begins: https://…/pipeline.")
        return answer


def connect(host: str, access: Access = Access(), *, namespace: str = "", backoff_seconds: float = BACKOFF_SECONDS) -> Any:
    """A client of the Kubeflow Pipelines at a URL, for one namespace of it. HostError or InputError where it does not answer, or not to us.

    Calls that only read are tried again a few times; one that creates is not, because it may have been done.
    """
    if not host.startswith(("http://", "https://")):
        raise InputError(f"--host is '{host}'; it is a URL, such as http://localhost:8080 behind `{FORWARD}`.")
    for file in (access.token_file, access.ca_file):
        if file and not os.access(file, os.R_OK):
            raise InputError(f"The file '{file}' cannot be read; --token-file holds a bearer token, --ca-file certificates.")
    credentials = ServiceAccountTokenVolumeCredentials(path=access.token_file) if access.token_file else None
    with warnings.catch_warnings(), explained(host, namespace):
        warnings.simplefilter("ignore", FutureWarning)  # kfp says with every client which servers it is for
        client = _Client(
            host, backoff_seconds=backoff_seconds, existing_token=access.token or None, credentials=credentials, cookies=access.cookies or None,
            ssl_ca_cert=access.ca_file or None, namespace=namespace or ALONE,
        )  # fmt: skip
        bound(client._healthz_api.api_client)
        _choose_namespace(client, namespace)
    return client


def _choose_namespace(client: Any, namespace: str) -> None:
    """The client's namespace for all that follows: '' where the server serves one alone, which takes none."""
    many = bool(client.get_kfp_healthz().multi_user)
    chosen = namespace or client.get_user_namespace()
    if many and not chosen:
        raise InputError("This Kubeflow Pipelines serves many namespaces; say which is yours with --namespace.")
    if namespace and not many:
        raise InputError(f"--namespace is '{namespace}', but this Kubeflow Pipelines serves one namespace, its own; leave --namespace out.")
    client._context_setting["namespace"] = chosen if many else ""


@contextmanager
def explained(host: str, namespace: str = "") -> Iterator[None]:
    """Turns what the client raises into one sentence with the way out."""
    try:
        yield
    except ApiException as error:
        raise _refusal(host, namespace, error) from error
    except urllib3.exceptions.HTTPError as error:
        raise HostError(unreached("Kubeflow Pipelines", host, error, f"is the port-forward running (`{FORWARD}`)?")) from error
    except OSError as error:
        raise HostError(f"The token in '{error.filename}' cannot be read any more: {error.strerror}.") from error


def _refusal(host: str, namespace: str, error: ApiException) -> FederationError:
    said, where = said_in(error.body), f"in namespace '{namespace}'" if namespace else "in its namespace"
    sentences: Mapping[int, str] = {
        400: f"Kubeflow Pipelines at {host} takes the request for wrong (400): {said}.",
        401: f"Kubeflow Pipelines at {host} does not know who you are (401); give a token in FL_KFP_TOKEN or with --token-file, or cookies in FL_KFP_COOKIES.",
        403: f"Kubeflow Pipelines at {host} does not let you do this {where} (403): {said}; ask its administrator for a role there, or change --namespace.",
        404: f"Kubeflow Pipelines at {host} does not have what was asked for {where} (404): {said}; check --namespace and --host.",
        409: f"Kubeflow Pipelines at {host} has it already (409): {said}; choose another name, or delete it there.",
        413: f"Kubeflow Pipelines at {host} takes nothing so large (413); make the job's code smaller, or its rounds fewer.",
        429: f"Kubeflow Pipelines at {host} has no room for it now (429): {said}; wait, or ask its administrator for a larger quota.",
    }
    status = error.status or 0
    if "quota" in said.lower():
        return HostError(sentences[429].replace("(429)", f"({status})"))
    if status in sentences:
        return InputError(sentences[status]) if status in (400, 404) else HostError(sentences[status])
    if 300 <= status < 400:
        return HostError(f"{host} sends you to a login page ({status}); give the cookies of your session in FL_KFP_COOKIES, or a token in FL_KFP_TOKEN.")
    if not status:
        reason = " ".join(str(error.reason).split())[:SAID_MAX]
        return HostError(f"The certificate of {host} is not trusted ({reason}); name your authority's certificates with --ca-file.")
    return HostError(f"Kubeflow Pipelines at {host} failed ({status}): {said}; try again, and look at the log of its ml-pipeline pod.")


def every(page: Callable[..., Any], field: str, **about: Any) -> Iterator[Any]:
    """All things of a list that comes page by page."""
    token = ""
    for _ in range(PAGES_MAX):
        found = page(page_token=token, page_size=PAGE, **about)
        yield from getattr(found, field) or []
        token = found.next_page_token or ""
        if not token:
            return
    raise HostError(f"The list of {field} has more than {PAGES_MAX * PAGE} entries; delete what is old.")


def called(name: str) -> str:
    """A filter for what has exactly that name."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})
