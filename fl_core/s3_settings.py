"""Where an S3 store is and who asks: endpoint, credentials, certificates and limits, from the environment or a profile; never from a URI or a job."""

import ipaddress
from collections.abc import Mapping
from configparser import ConfigParser, Error
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fl_core.errors import InputError

CLUSTER_NAMES = (".svc", ".cluster.local", ".internal")


@dataclass(frozen=True)
class Limits:
    """What one operation may cost. A store that has not answered this process yet gets `tries_first`, so that a wrong address is told at once."""

    connect_seconds: float = 5.0
    silence_seconds: float = 30.0
    operation_seconds: float = 120.0
    bytes_per_second_min: int = 100_000
    tries: int = 12
    tries_first: int = 6

    def seconds_for(self, size_bytes: int) -> float:
        """How long an operation that moves so many bytes may take, with all its tries."""
        return self.operation_seconds + size_bytes / self.bytes_per_second_min


@dataclass(frozen=True)
class Settings:
    """An endpoint such as `https://s3.example.org` and what is needed to talk to it."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    limits: Limits = Limits()

    @property
    def secure(self) -> bool:
        return self.endpoint.startswith("https://")

    @property
    def host(self) -> str:
        return urlsplit(self.endpoint).netloc


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings that the environment and the AWS profile give, under the names that every S3 tool uses; InputError where one is missing or wrong.

    AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL (default: AWS itself), AWS_REGION or AWS_DEFAULT_REGION (default: us-east-1), AWS_ACCESS_KEY_ID with
    AWS_SECRET_ACCESS_KEY and perhaps AWS_SESSION_TOKEN, else AWS_PROFILE (default: `default`) of AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials)
    and AWS_CONFIG_FILE (~/.aws/config); AWS_CA_BUNDLE, a file of certificates to trust.
    """
    profile = _profile(environment)
    found = {**profile, **{key: value for name, key in _VARIABLES if (value := environment.get(name))}}
    if environment.get("AWS_ACCESS_KEY_ID") and not environment.get("AWS_SESSION_TOKEN"):
        found.pop("aws_session_token", None)
    if not found.get("aws_access_key_id") or not found.get("aws_secret_access_key"):
        raise InputError("The store has no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to a profile of ~/.aws/credentials.")
    region = found.get("region", "us-east-1")
    endpoint = check_endpoint(found.get("endpoint_url", f"https://s3.{region}.amazonaws.com"))
    bundle = found.get("ca_bundle")
    if bundle and not Path(bundle).is_file():
        raise InputError(f"AWS_CA_BUNDLE is '{bundle}', which is no file; name a file of certificates in PEM.")
    return Settings(endpoint, region, found["aws_access_key_id"], found["aws_secret_access_key"], found.get("aws_session_token"), bundle)


_VARIABLES = (
    ("AWS_ENDPOINT_URL", "endpoint_url"), ("AWS_ENDPOINT_URL_S3", "endpoint_url"), ("AWS_DEFAULT_REGION", "region"), ("AWS_REGION", "region"),
    ("AWS_ACCESS_KEY_ID", "aws_access_key_id"), ("AWS_SECRET_ACCESS_KEY", "aws_secret_access_key"), ("AWS_SESSION_TOKEN", "aws_session_token"),
    ("AWS_CA_BUNDLE", "ca_bundle"),
)  # fmt: skip


def _profile(environment: Mapping[str, str]) -> dict[str, str]:
    """What the profile says; InputError for one that was asked for by name and is not there."""
    name, home = environment.get("AWS_PROFILE"), Path(environment.get("HOME", "~")).expanduser()
    files = {
        Path(environment.get("AWS_CONFIG_FILE") or home / ".aws" / "config"): f"profile {name}" if name and name != "default" else "default",
        Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials"): name or "default",
    }
    found: dict[str, str] = {}
    there = False
    for path, section in files.items():
        parser = ConfigParser(interpolation=None)
        try:
            parser.read(path)
        except Error as error:
            raise InputError(f"{path} cannot be read as a file of profiles; correct it or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.") from error
        if parser.has_section(section):
            there = True
            found |= parser[section]
    if name and not there:
        raise InputError(f"AWS_PROFILE is '{name}', which neither {' nor '.join(map(str, files))} has.")
    return found


def check_endpoint(endpoint: str) -> str:
    """The endpoint without a slash at its end; InputError for one with credentials or a path, and for plain http beyond the private network."""
    parts = urlsplit(endpoint.rstrip("/"))
    if "@" in parts.netloc:
        raise InputError("The store's endpoint holds credentials; give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query or parts.fragment:
        raise InputError(f"The store's endpoint is '{endpoint}'; it is https://HOST or https://HOST:PORT.")
    if parts.scheme == "http" and not _is_near(parts.hostname):
        raise InputError(f"The store's endpoint is '{endpoint}'; without https only this machine, private addresses and names inside a cluster are allowed.")
    return f"{parts.scheme}://{parts.netloc}"


def _is_near(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
        return address.is_loopback or address.is_private
    except ValueError:
        return "." not in host or host.endswith(CLUSTER_NAMES)
