"""The policies of the roles on a real MinIO: users with a role's policy, who try what the role may and may not do."""

import secrets
from collections.abc import Mapping

import pytest

from fl_core.codec import encode_tensors, sha256
from fl_core.errors import FederationError, KeyMissing, StoreError
from fl_core.merging import accepted
from fl_core.policy import policies
from fl_core.run_folder import Run
from fl_core.s3 import S3Store
from fl_core.store import Store
from tests.jobs import tiny_job
from tests.services.minio_server import MinioServer

A_REPLY, B_REPLY = "rounds/0001/train/worker-0/000.safetensors", "rounds/0001/train/worker-1/000.safetensors"
DENIED = "These credentials may not {} s3://.*; give them the policy of their role"


def new_user(minio: MinioServer, name: str, policy: Mapping[str, object]) -> tuple[str, str]:
    """A user with that policy and no other rights, and the user's password."""
    admin, password = minio.admin(), secrets.token_hex(16)
    admin.user_add(name, password)
    admin.policy_add(name, policy=dict(policy))
    admin.attach_policy([name], user=name)
    return name, password


def run_as(minio: MinioServer, bucket: str, role: str, policy: Mapping[str, object]) -> Store:
    """The run as a new user with that policy sees it."""
    user, password = new_user(minio, f"{bucket}-{role}", policy)
    return S3Store(minio.settings(user=user, password=password), bucket, "hospital").at("runs/one")


@pytest.fixture(scope="module")
def roles(minio: MinioServer) -> dict[str, Store]:
    """The same run, half a round in, as each role sees it."""
    bucket = minio.new_bucket()
    stores = {role: run_as(minio, bucket, role, policy) for role, policy in policies(tiny_job(), bucket, "hospital").items()}
    server = stores["server"]
    for key in ("job/job.yaml", "job/manifest.json", "rounds/0001/plan.json"):
        assert server.put(key, b"{}")
    stores["worker-0"].put("rounds/0001/state.safetensors", b"first state")
    for worker, reply in {"worker-0": A_REPLY, "worker-1": B_REPLY}.items():
        stores[worker].put(reply, encode_tensors({}, {"from": worker}))
        stores[worker].put(f"rounds/0001/evaluate/{worker}.json", b"{}")
    return stores


def test_a_worker_reads_the_job_and_its_own_replies(roles: dict[str, Store]) -> None:
    worker = roles["worker-0"]
    for key in ("job/job.yaml", "rounds/0001/plan.json", "rounds/0001/state.safetensors", A_REPLY):
        assert len(worker.get(key))
    assert worker.list("rounds/0001/train/worker-0/") == [A_REPLY]
    worker.append("journal.jsonl", b"line\n")


def test_a_worker_is_told_what_is_absent(roles: dict[str, Store]) -> None:
    for key in ("rounds/0002/plan.json", "rounds/0002/state.safetensors", "rounds/0002/train/worker-0/000.safetensors", "status.json"):
        assert not roles["worker-0"].exists(key)
        with pytest.raises(KeyMissing):
            roles["worker-0"].get(key)


@pytest.mark.parametrize("key", [B_REPLY, "rounds/0001/evaluate/worker-1.json", "rounds/0002/train/worker-1/000.safetensors"])
def test_a_worker_reads_nothing_of_another(roles: dict[str, Store], key: str) -> None:
    with pytest.raises(StoreError, match=DENIED.format("read")):
        roles["worker-0"].get(key)
    with pytest.raises(StoreError, match=DENIED.format("read")):
        roles["worker-0"].exists(key)


@pytest.mark.parametrize("prefix", ["", "rounds/", "rounds/0001/train/", "rounds/0001/train/worker-1/", "rounds/0001/evaluate/"])
def test_a_worker_lists_nothing_of_another(roles: dict[str, Store], prefix: str) -> None:
    with pytest.raises(StoreError, match=DENIED.format("list")):
        roles["worker-0"].list(prefix)


@pytest.mark.parametrize(
    "key",
    [
        "job/job.yaml", "job/cards/worker-1.json", "rounds/0001/plan.json", "rounds/0002/plan.json", "rounds/0002/state.safetensors",
        "rounds/0001/close.json", "rounds/0001/train/worker-1/001.safetensors", "rounds/0001/train/message.safetensors", "rounds/0001/evaluate/worker-1.json",
        "status.json", "summary.json", "model.safetensors",
    ],
)  # fmt: skip
def test_a_worker_writes_nothing_but_its_own(roles: dict[str, Store], key: str) -> None:
    with pytest.raises(StoreError, match=DENIED.format("write")):
        roles["worker-0"].put(key, b"forged")
    with pytest.raises(StoreError, match=DENIED.format("delete")):
        roles["worker-0"].delete(key)


def test_only_the_first_worker_writes_the_first_state(roles: dict[str, Store]) -> None:
    with pytest.raises(StoreError, match=DENIED.format("write")):
        roles["worker-1"].put("rounds/0001/state.safetensors", b"other")


def test_a_reader_sees_the_run_but_no_replies_and_writes_nothing(roles: dict[str, Store]) -> None:
    reader = roles["reader"]
    assert A_REPLY in reader.list("rounds/")
    assert len(reader.get("rounds/0001/state.safetensors"))
    with pytest.raises(StoreError, match=DENIED.format("read")):
        reader.get(A_REPLY)
    for call in (lambda: reader.put("rounds/0009/plan.json", b"{}"), lambda: reader.append("journal.jsonl", b"line\n")):
        with pytest.raises(StoreError, match=DENIED.format("write")):
            call()


def test_without_the_policy_a_worker_could_do_all_that(minio: MinioServer) -> None:
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]}]}
    worker = run_as(minio, minio.new_bucket(), "worker-0", everything)
    assert worker.put(B_REPLY, b"forged")
    assert worker.put("rounds/0001/plan.json", b"forged")
    assert worker.list("rounds/") == ["rounds/0001/plan.json", B_REPLY]


def test_a_reply_that_is_overwritten_after_the_close_is_found_by_its_digest(roles: dict[str, Store]) -> None:
    run = Run("one", tiny_job(), roles["server"])
    closed = {"round": 1, "replies": {A_REPLY: sha256(roles["server"].get(A_REPLY))}}
    assert [record["from"] for _, record in accepted(run, closed)] == ["worker-0"]
    other = encode_tensors({}, {"from": "worker-0", "again": True})
    worker = roles["worker-0"]
    assert isinstance(worker, S3Store)
    assert worker._bucket.write(f"hospital/runs/one/{A_REPLY}", other, {}) == "written"
    with pytest.raises(FederationError, match=f"'{A_REPLY}' is not the reply that round 1 was closed with"):
        list(accepted(run, closed))
