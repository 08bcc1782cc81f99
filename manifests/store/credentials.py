"""Makes the store's credentials once, from the system's random bytes: a Secret for MinIO's root and one for each account. None is ever written over."""

import argparse
import base64
import secrets
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from kubernetes import client, config

NOT_FOUND, CONFLICT = 404, 409
USER_BYTES, PASSWORD_BYTES = 10, 20  # in hexadecimal 20 and 40 characters, the most that MinIO takes
LABELS = {"app.kubernetes.io/part-of": "paddlefl"}


def main(words: Sequence[str] | None = None, api: Any = None) -> None:
    """`api` stands in for the cluster's, as whoever runs the pod."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--endpoint", required=True, help="where the accounts find the store")
    parser.add_argument("--private", default="", help="where whoever uses the accounts keeps keys and memory from task to task")
    parser.add_argument("--root", required=True, help="the Secret of MinIO's root")
    parser.add_argument("--account", action="append", default=[], help="the Secret of an account")
    parser.add_argument("--also-in", action="append", default=[], help="another namespace that gets the accounts' Secrets")
    arguments = parser.parse_args(words)
    if api is None:
        config.load_incluster_config()
        api = client.CoreV1Api()
    ensure(api, arguments.namespace, arguments.root, {"MINIO_ROOT_USER": _user(), "MINIO_ROOT_PASSWORD": _password()})
    for name in arguments.account:
        fresh = {"AWS_ACCESS_KEY_ID": _user(), "AWS_SECRET_ACCESS_KEY": _password(), "AWS_ENDPOINT_URL_S3": arguments.endpoint, "AWS_REGION": "us-east-1"}
        fresh |= {"FL_PRIVATE": arguments.private} if arguments.private else {}
        there = ensure(api, arguments.namespace, name, fresh)
        for other in arguments.also_in:
            if ensure(api, other, name, there) != there:
                sys.exit(f"The Secret '{name}' of namespace '{other}' is not that of '{arguments.namespace}'; delete the one that is not in use.")


def ensure(api: Any, namespace: str, name: str, fresh: Mapping[str, str]) -> dict[str, str]:
    """The Secret's content: what is there, or else `fresh`, which then is."""
    try:
        return _content(api.read_namespaced_secret(name, namespace))
    except client.ApiException as error:
        if error.status != NOT_FOUND:
            raise
    secret = client.V1Secret(metadata=client.V1ObjectMeta(name=name, labels=LABELS), data={key: _encode(value) for key, value in fresh.items()})
    try:
        return _content(api.create_namespaced_secret(namespace, secret))
    except client.ApiException as error:
        if error.status != CONFLICT:
            raise
    return _content(api.read_namespaced_secret(name, namespace))


def _content(secret: client.V1Secret) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in (secret.data or {}).items()}


def _encode(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def _user() -> str:
    return secrets.token_hex(USER_BYTES)


def _password() -> str:
    return secrets.token_hex(PASSWORD_BYTES)


if __name__ == "__main__":
    main()
