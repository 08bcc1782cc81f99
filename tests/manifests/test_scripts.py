"""The scripts that run inside the manifests' pods."""

import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from kubernetes import client

from fl_core.errors import StoreError
from fl_core.job import load_job
from fl_core.policy import policies
from tests.manifests.render import MANIFESTS


def script(path: str) -> ModuleType:
    spec = spec_from_file_location(Path(path).stem, MANIFESTS / path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


credentials, accounts, await_store = script("store/credentials.py"), script("store/accounts.py"), script("common/await_store.py")


class FakeCluster:
    """Secrets in a dict; `before_create` is called when one is about to be made."""

    def __init__(self, before_create: Callable[[str, str], None] = lambda namespace, name: None) -> None:
        self.secrets: dict[tuple[str, str], client.V1Secret] = {}
        self.before_create = before_create

    def read_namespaced_secret(self, name: str, namespace: str) -> client.V1Secret:
        if (namespace, name) not in self.secrets:
            raise client.ApiException(status=404)
        return self.secrets[namespace, name]

    def create_namespaced_secret(self, namespace: str, body: client.V1Secret) -> client.V1Secret:
        self.before_create(namespace, body.metadata.name)
        if (namespace, body.metadata.name) in self.secrets:
            raise client.ApiException(status=409)
        self.secrets[namespace, body.metadata.name] = body
        return body

    def contents(self) -> dict[tuple[str, str], dict[str, str]]:
        return {key: credentials._content(secret) for key, secret in self.secrets.items()}


ORDER = ["--namespace", "ours", "--endpoint", "http://minio:9000", "--root", "root", "--account", "one", "--account", "two"]


def test_credentials_are_made_once_and_each_is_its_own() -> None:
    cluster = FakeCluster()
    credentials.main(ORDER, cluster)
    first = cluster.contents()
    assert set(first) == {("ours", "root"), ("ours", "one"), ("ours", "two")}
    assert first["ours", "one"]["AWS_ENDPOINT_URL_S3"] == "http://minio:9000"
    passwords = {content.get("AWS_SECRET_ACCESS_KEY") or content["MINIO_ROOT_PASSWORD"] for content in first.values()}
    assert len(passwords) == 3
    assert {len(password) for password in passwords} == {40}
    credentials.main(ORDER, cluster)
    assert cluster.contents() == first


def test_accounts_learn_of_a_private_place_where_there_is_one() -> None:
    with_place, without = FakeCluster(), FakeCluster()
    credentials.main([*ORDER, "--private", "s3://private"], with_place)
    credentials.main(ORDER, without)
    assert with_place.contents()["ours", "one"]["FL_PRIVATE"] == "s3://private"
    assert "FL_PRIVATE" not in without.contents()["ours", "one"]
    assert "FL_PRIVATE" not in with_place.contents()["ours", "root"]


def test_an_account_goes_to_another_namespace_and_root_stays() -> None:
    cluster = FakeCluster()
    credentials.main([*ORDER, "--also-in", "kubeflow"], cluster)
    found = cluster.contents()
    assert found["kubeflow", "one"] == found["ours", "one"]
    assert ("kubeflow", "root") not in found


def test_another_account_of_that_name_elsewhere_is_told() -> None:
    cluster = FakeCluster()
    credentials.main([*(word.replace("ours", "kubeflow") for word in ORDER)], cluster)
    with pytest.raises(SystemExit, match="of namespace 'kubeflow' is not that of 'ours'"):
        credentials.main([*ORDER, "--also-in", "kubeflow"], cluster)


def test_who_comes_second_takes_what_the_first_made() -> None:
    cluster = FakeCluster()
    racing = iter([True])

    def another_first(namespace: str, name: str) -> None:
        if next(racing, False):
            credentials.ensure(cluster, namespace, name, {"key": "first"})

    cluster.before_create = another_first
    assert credentials.ensure(cluster, "ours", "one", {"key": "second"}) == {"key": "first"}


def test_a_refusal_of_the_cluster_is_not_taken_for_absence() -> None:
    cluster = FakeCluster()
    cluster.read_namespaced_secret = lambda name, namespace: (_ for _ in ()).throw(client.ApiException(status=403))  # type: ignore[method-assign]
    with pytest.raises(client.ApiException):
        credentials.main(ORDER, cluster)
    assert not cluster.secrets


def test_an_account_for_all_reaches_the_named_buckets_alone() -> None:
    (statement,) = accounts.policies_of(["one", "two"], None)["all"]["Statement"]
    assert {word.removeprefix("arn:aws:s3:::") for word in statement["Resource"]} == {"one", "one/*", "two", "two/*"}
    assert not any("*" in action for action in statement["Action"])


def test_accounts_of_a_job_may_do_what_its_policies_say() -> None:
    job = MANIFESTS / "standalone/base/digits.yaml"
    allowed = accounts.policies_of(["bucket"], str(job))
    assert {role: allowed[role] for role in ("server", "worker-0", "worker-1")} == {
        role: policy for role, policy in policies(load_job(job), "bucket").items() if role != "reader"
    }


def test_an_account_of_an_unknown_role_is_refused(tmp_path: Path) -> None:
    (tmp_path / "worker-9").mkdir()
    (tmp_path / "worker-9" / "access").write_text("x")
    with pytest.raises(SystemExit, match="no role 'worker-9'"):
        accounts.make_account(None, tmp_path / "worker-9", {"server": {}})


def test_who_waits_for_the_store_goes_on_once_it_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers = iter([StoreError("not yet"), StoreError("not yet")])
    real = await_store.open_store

    def open_later(root: str) -> object:
        refusal = next(answers, None)
        if refusal:
            raise refusal
        return real(root)

    monkeypatch.setattr(await_store, "open_store", open_later)
    await_store.await_store(f"file://{tmp_path}", "one", pause_seconds=0.0)
    assert next(answers, "none left") == "none left"


def test_who_waits_too_long_hears_the_last_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(root: str) -> object:
        raise StoreError("The store said no.")

    monkeypatch.setattr(await_store, "open_store", refuse)
    with pytest.raises(StoreError, match="said no"):
        await_store.await_store("s3://bucket", "one", wait_seconds=-1.0)


def test_a_worker_whose_run_has_ended_answers_probes_and_ends_when_asked(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    copy = tmp_path / "rest.py"
    copy.write_text((MANIFESTS / "organisation/base/rest.py").read_text().replace("PORT = 9090", f"PORT = {port}"))
    resting = subprocess.Popen([sys.executable, str(copy)], stdout=subprocess.PIPE, text=True)
    try:
        assert resting.stdout
        assert "has ended" in resting.stdout.readline()
        assert urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).status == 200
        assert resting.poll() is None
        resting.send_signal(signal.SIGTERM)
        assert resting.wait(30) == 0
    finally:
        resting.kill()
        resting.stdout.close()  # type: ignore[union-attr]
