"""A store with a certificate of the organisation's own authority."""

import datetime
import ipaddress
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fl_core.errors import StoreError
from fl_core.s3 import S3Store
from fl_core.store import open_store
from tests.services.minio_server import MinioServer


def write_certificate(folder: Path) -> None:
    """A key and a certificate for 127.0.0.1 that vouches for itself, where MinIO looks for them."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - day).not_valid_after(now + day).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False).sign(key, hashes.SHA256())
    )  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "public.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "private.key").write_bytes(pem)


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    write_certificate(tmp_path / "certificates")
    return tmp_path / "certificates"


@pytest.fixture
def tls_minio(tmp_path: Path, certificates: Path) -> Iterator[MinioServer]:
    server = MinioServer(tmp_path / "minio", certificates)
    yield server
    server.kill()


def test_a_custom_authority_is_trusted_where_it_is_named_and_refused_where_not(
    tls_minio: MinioServer, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = tls_minio.new_bucket()
    for name, value in {**tls_minio.environment(), "AWS_CA_BUNDLE": str(certificates / "public.crt")}.items():
        monkeypatch.setenv(name, value)
    store = open_store(f"s3://{bucket}/p")
    data = bytes(5 << 20)
    assert store.put("key", data)
    assert bytes(store.get("key")) == data
    monkeypatch.delenv("AWS_CA_BUNDLE")
    with pytest.raises(StoreError, match=r"shows a certificate that is not trusted .*; name the file of its authority in AWS_CA_BUNDLE"):
        open_store(f"s3://{bucket}/p").get("key")


def test_a_certificate_for_another_host_is_refused(tls_minio: MinioServer, certificates: Path) -> None:
    settings = replace(tls_minio.settings(f"https://localhost:{tls_minio.port}"), ca_bundle=str(certificates / "public.crt"))
    with pytest.raises(StoreError, match="shows a certificate that is not trusted"):
        S3Store(settings, "bucket").get("key")
