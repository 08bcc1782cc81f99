"""Endpoint and credentials come from the environment or a profile, and what cannot be meant is refused."""

from pathlib import Path

import pytest

from fl_core.errors import InputError
from fl_core.s3_settings import Limits, check_endpoint, read_settings

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "HOME": "/nowhere"}


def home_with(folder: Path, config: str, credentials: str) -> dict[str, str]:
    (folder / ".aws").mkdir()
    (folder / ".aws" / "config").write_text(config)
    (folder / ".aws" / "credentials").write_text(credentials)
    return {"HOME": str(folder)}


def test_the_environment_says_it_all() -> None:
    found = read_settings({**KEYS, "AWS_ENDPOINT_URL": "https://s3.example.org:9000/", "AWS_REGION": "eu-west-1", "AWS_SESSION_TOKEN": "token"})
    assert (found.endpoint, found.host, found.secure, found.region) == ("https://s3.example.org:9000", "s3.example.org:9000", True, "eu-west-1")
    assert (found.access_key, found.secret_key, found.session_token, found.ca_bundle) == ("key", "secret", "token", None)


def test_without_an_endpoint_it_is_aws() -> None:
    assert read_settings(KEYS).endpoint == "https://s3.us-east-1.amazonaws.com"
    assert read_settings({**KEYS, "AWS_DEFAULT_REGION": "eu-central-1"}).endpoint == "https://s3.eu-central-1.amazonaws.com"


def test_the_endpoint_of_s3_goes_before_the_general_one() -> None:
    found = read_settings({**KEYS, "AWS_ENDPOINT_URL": "https://all.example.org", "AWS_ENDPOINT_URL_S3": "https://s3.example.org"})
    assert found.endpoint == "https://s3.example.org"


def test_a_profile_gives_what_the_environment_does_not(tmp_path: Path) -> None:
    home = home_with(
        tmp_path,
        "[default]\nregion = eu-west-3\n[profile hospital]\nregion = eu-west-2\nendpoint_url = https://minio.example.org\n",
        "[default]\naws_access_key_id = d\naws_secret_access_key = ds\n[hospital]\naws_access_key_id = h\naws_secret_access_key = h%s\naws_session_token = t\n",
    )
    assert read_settings(home).access_key == "d"
    found = read_settings({**home, "AWS_PROFILE": "hospital"})
    assert (found.endpoint, found.region) == ("https://minio.example.org", "eu-west-2")
    assert (found.access_key, found.secret_key, found.session_token) == ("h", "h%s", "t")
    found = read_settings({**home, **{k: v for k, v in KEYS.items() if k != "HOME"}, "AWS_PROFILE": "hospital"})
    assert (found.endpoint, found.access_key, found.secret_key, found.session_token) == ("https://minio.example.org", "key", "secret", None)


def test_files_of_profiles_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("[default]\naws_access_key_id = d\naws_secret_access_key = ds\n")
    assert read_settings({"HOME": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "keys")}).secret_key == "ds"


def test_a_profile_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"AWS_PROFILE is 'hospital', which neither /nowhere/\.aws/config nor /nowhere/\.aws/credentials has\."):
        read_settings({"HOME": "/nowhere", "AWS_PROFILE": "hospital"})


def test_a_file_that_holds_no_profiles_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as a file of profiles"):
        read_settings(home_with(tmp_path, "", "no section\n"))


def test_missing_credentials_are_asked_for() -> None:
    with pytest.raises(InputError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"):
        read_settings({"HOME": "/nowhere", "AWS_ACCESS_KEY_ID": "half"})


def test_a_missing_file_of_certificates_is_named() -> None:
    with pytest.raises(InputError, match=r"AWS_CA_BUNDLE is '/nowhere/ca\.pem', which is no file"):
        read_settings({**KEYS, "AWS_CA_BUNDLE": "/nowhere/ca.pem"})


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "localhost:9000", "[::1]:9000", "10.1.2.3", "minio:9000", "minio.storage.svc", "a.b.svc.cluster.local"])
def test_plain_http_is_for_near_endpoints(host: str) -> None:
    assert check_endpoint(f"http://{host}") == f"http://{host}"


@pytest.mark.parametrize("host", ["s3.example.org", "8.8.8.8:9000", "svc.example.org", "notcluster.local.example.org"])
def test_plain_http_is_refused_for_far_endpoints(host: str) -> None:
    with pytest.raises(InputError, match="without https only this machine, private addresses and names inside a cluster are allowed"):
        check_endpoint(f"http://{host}")
    assert check_endpoint(f"https://{host}") == f"https://{host}"


@pytest.mark.parametrize("endpoint", ["s3.example.org", "ftp://s3.example.org", "https://", "https://s3.example.org/path", "https://s3.example.org?x=1"])
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(InputError, match="it is https://HOST or https://HOST:PORT"):
        check_endpoint(endpoint)


def test_credentials_in_the_endpoint_are_refused_and_not_repeated() -> None:
    with pytest.raises(InputError, match="holds credentials") as error:
        check_endpoint("https://user:hunter2@s3.example.org")
    assert "hunter2" not in str(error.value)


def test_a_large_object_is_given_more_time() -> None:
    limits = Limits(operation_seconds=100, bytes_per_second_min=1_000_000)
    assert limits.seconds_for(0) == 100
    assert limits.seconds_for(50_000_000) == 150
