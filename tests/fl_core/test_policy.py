"""What the policies say; that a real store keeps to them is shown in tests/services."""

import fnmatch

import pytest

from fl_core.errors import InputError
from fl_core.policy import Policy, policies
from tests.jobs import tiny_job


def may(policy: Policy, action: str, name: str) -> bool:
    """Whether a policy allows an action on an object, by the rules of IAM: a star stands for any letters, slashes too."""
    return any(
        action in statement["Action"] and any(fnmatch.fnmatchcase(f"arn:aws:s3:::bucket/{name}", resource) for resource in statement["Resource"])
        for statement in policy["Statement"]
    )


def may_list(policy: Policy, prefix: str) -> bool:
    patterns = policy["Statement"][-1]["Condition"]["StringLike"]["s3:prefix"]
    return any(fnmatch.fnmatchcase(prefix, pattern) for pattern in patterns)


RUN = "hospital/runs/one"
OWN = [f"{RUN}/job/cards/worker-1.json", f"{RUN}/rounds/0003/evaluate/worker-1.json", f"{RUN}/rounds/0003/train/worker-1/000.safetensors"]
SHARED = [f"{RUN}/job/job.yaml", f"{RUN}/rounds/0003/plan.json", f"{RUN}/rounds/0003/state.safetensors", f"{RUN}/rounds/0003/close.json"]
OTHERS = [f"{RUN}/rounds/0003/{name}" for name in ("train/worker-0/000.safetensors", "train/worker-10/000.safetensors", "evaluate/worker-0.json")]


def test_a_worker_writes_its_own_and_reads_what_is_for_all() -> None:
    worker = policies(tiny_job(), "bucket", "hospital")["worker-1"]
    assert all(may(worker, "s3:PutObject", name) and may(worker, "s3:GetObject", name) for name in OWN)
    assert all(may(worker, "s3:GetObject", name) and not may(worker, "s3:PutObject", name) for name in SHARED)
    assert not any(may(worker, action, name) for name in OTHERS for action in ("s3:GetObject", "s3:PutObject"))
    assert not any(may(worker, "s3:DeleteObject", name) for name in [*OWN, *SHARED, *OTHERS])


def test_a_worker_lists_its_own_and_no_others() -> None:
    worker = policies(tiny_job(), "bucket", "hospital")["worker-1"]
    assert may_list(worker, f"{RUN}/rounds/0003/train/worker-1/")
    assert not any(may_list(worker, prefix) for prefix in ("", "hospital/", f"{RUN}/", f"{RUN}/rounds/", f"{RUN}/rounds/0003/train/", OTHERS[0]))


def test_only_the_first_worker_writes_the_first_state() -> None:
    found = policies(tiny_job(), "bucket", "hospital")
    assert may(found["worker-0"], "s3:PutObject", f"{RUN}/rounds/0001/state.safetensors")
    assert not may(found["worker-0"], "s3:PutObject", f"{RUN}/rounds/0002/state.safetensors")
    assert not may(found["worker-1"], "s3:PutObject", f"{RUN}/rounds/0001/state.safetensors")


def test_the_server_may_all_in_its_runs_and_nothing_beside_them() -> None:
    server = policies(tiny_job(), "bucket", "hospital")["server"]
    for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
        assert all(may(server, action, name) for name in [*OWN, *SHARED, *OTHERS, "hospital/models/tiny/1/model.safetensors"])
        assert not may(server, action, "other/runs/one/job/job.yaml")
    assert may_list(server, f"{RUN}/")
    assert not may_list(server, "")


def test_a_reader_sees_results_and_no_replies_and_writes_nothing() -> None:
    reader = policies(tiny_job(), "bucket", "hospital")["reader"]
    assert all(may(reader, "s3:GetObject", name) for name in [*SHARED, f"{RUN}/summary.json", f"{RUN}/rounds/0003/metrics.json"])
    assert not any(may(reader, "s3:GetObject", name) for name in OTHERS)
    assert not any(may(reader, action, name) for name in [*OWN, *SHARED, *OTHERS] for action in ("s3:PutObject", "s3:DeleteObject"))
    assert may_list(reader, f"{RUN}/rounds/")


def test_policies_for_one_run_hold_for_no_other() -> None:
    worker = policies(tiny_job(), "bucket", "hospital", run="one")["worker-1"]
    assert may(worker, "s3:PutObject", OWN[2])
    assert not may(worker, "s3:GetObject", SHARED[0].replace("/one/", "/two/"))


@pytest.mark.parametrize("name", ["job", "plan", "close", "status", "server"])
def test_a_worker_whose_name_reads_like_a_record_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"A worker or an exchange is called '{name}'"):
        policies(tiny_job(f"federation.workers=[{{name: {name}}}]"), "bucket")


@pytest.mark.parametrize(("prefix", "run"), [("a*", "*"), ("a", "one?"), ("../a", "*")])
def test_wildcards_and_ways_out_are_refused(prefix: str, run: str) -> None:
    with pytest.raises(InputError):
        policies(tiny_job(), "bucket", prefix, run)
