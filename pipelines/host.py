"""The options with which a command finds Kubeflow Pipelines, and its client. The environment is read here and nowhere below."""

import argparse
import os
from pathlib import Path
from typing import Any

from pipelines.calls import BACKOFF_SECONDS, quiet

TOKEN_VOLUME = "/var/run/secrets/kubeflow/pipelines/token"


def add_host(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    host = os.environ.get("KF_PIPELINES_ENDPOINT")
    parser.add_argument(
        "--host",
        default=host,
        required=required and not host,
        metavar="URL",
        help="Kubeflow Pipelines (default: KF_PIPELINES_ENDPOINT)",
    )
    parser.add_argument("--namespace", default="", metavar="NS", help="the namespace of yours there, where Kubeflow serves many")
    parser.add_argument("--token-file", default="", metavar="FILE", help="a file with a bearer token, read again for every call (or the token in FL_KFP_TOKEN)")
    parser.add_argument("--ca-file", default="", metavar="FILE", help="certificates of the authority that the server's is signed by")


def open_client(arguments: argparse.Namespace) -> Any:
    """A client that has been answered; the token comes from --token-file, FL_KFP_TOKEN, or the pod's own volume, cookies from FL_KFP_COOKIES."""
    from pipelines.kfp_client import Access, connect

    quiet()
    token, cookies = os.environ.get("FL_KFP_TOKEN", ""), os.environ.get("FL_KFP_COOKIES", "")
    volume = os.environ.get("KF_PIPELINES_SA_TOKEN_PATH", TOKEN_VOLUME)
    file = arguments.token_file or ("" if token or cookies or not Path(volume).is_file() else volume)
    access = Access("" if file else token, file, cookies, arguments.ca_file)
    return connect(arguments.host, access, namespace=arguments.namespace, backoff_seconds=BACKOFF_SECONDS)
