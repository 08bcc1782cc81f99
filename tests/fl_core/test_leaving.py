"""What `fl work --dry-run` lists is what a worker writes, no more and no less."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fl_core.codec import decode_record, decode_tensors
from fl_core.job import Job
from fl_core.leaving import what_leaves
from fl_core.live import serve, work
from fl_core.pool import Pool
from fl_core.run_folder import Run, close_key, evaluation_key, plan_key, state_key
from fl_core.store import PRIVATE, DictStore, FileStore
from tests.jobs import tiny_job

SERVERS = ("job/job.yaml", "job/roster.json", "job/manifest.json", "status.json", "summary.json", "metrics.jsonl", "model.safetensors", "report.html")


def keys_of(found: dict, worker: str) -> list[str]:
    return [entry["key"].replace(worker, "W") for entry in found["leaves"]]


def written(job: Job, tmp_path: Path, nursery: str) -> FileStore:
    """The store of a federation after its run."""

    def take_part(worker: str) -> int:
        with Pool(1, nursery) as pool:
            return work("r", FileStore(tmp_path / "run"), FileStore(tmp_path / worker, PRIVATE), worker, pool, job=job, start_seconds=60)

    with ThreadPoolExecutor(2) as threads:
        workers = [threads.submit(take_part, section.name) for section in job.workers]
        serve(Run("r", job, FileStore(tmp_path / "run"), FileStore(tmp_path / "server", PRIVATE)), start_seconds=60)
        assert [worker.result(60) for worker in workers] == [job.rounds] * 2
    return FileStore(tmp_path / "run")


def matches(key: str, patterns: Sequence[str]) -> list[str]:
    return [one for one in patterns if re.fullmatch(re.escape(one).replace("<round>", r"\d{4}").replace("<part>", r"\d{3}"), key)]


def is_servers(key: str, rounds: int) -> bool:
    of_rounds = {name for round in range(1, rounds + 2) for name in (plan_key(round), close_key(round), f"rounds/{round:04d}/metrics.json")}
    return key in SERVERS or key in of_rounds or key in {state_key(round) for round in range(2, rounds + 2)}


@pytest.mark.parametrize(
    "overrides",
    [
        ["rounds=2"], ["rounds=2", "data.held_out=0.25", "evaluate.on=both"], ["rounds=2", "data.held_out=0.25", "evaluate.on=held_out", "strategy=scaffold"],
        ["rounds=1", "strategy=median"],
    ],
)  # fmt: skip
def test_the_list_is_what_a_run_then_finds_in_the_store(tmp_path: Path, nursery: str, pool: Pool, overrides: list[str]) -> None:
    job = tiny_job("keep_updates=all", "strategy.batch_size=32", *overrides)
    listed = {worker: what_leaves(job, worker, pool) for worker in ("worker-0", "worker-1")}
    store = written(job, tmp_path, nursery)
    there = [key for key in store.list("") if not is_servers(key, job.rounds)]
    patterns = [entry["key"] for found in listed.values() for entry in found["leaves"]]
    assert [key for key in there if not matches(key, patterns)] == [], "written and not listed"
    assert [one for one in patterns if not any(matches(key, [one]) for key in there)] == [], "listed and not written"
    for found in listed.values():
        for entry in found["leaves"]:
            for key in there:
                if "bytes_at_most" in entry and matches(key, [entry["key"]]):
                    tensors, record = decode_tensors(store.get(key), key)
                    times = 1 if entry["bytes_are_per"] == "part" else len(record["clients"])
                    assert entry["bytes_at_least"] * times <= sum(value.nbytes for value in tensors.values()) <= entry["bytes_at_most"] * times
                    names = {name.partition(".")[2] if entry["bytes_are_per"] == "client" else name for name in tensors}
                    assert sorted(names) == sorted(next(iter(entry["fields"].values())))
    if job.evaluate.on == "both":
        assert {"test", "clients"} <= set(decode_record(store.get(evaluation_key(2, "worker-0")), "evaluation"))


def test_each_worker_is_told_what_is_its_own_to_send(pool: Pool) -> None:
    first, second = (what_leaves(tiny_job(), worker, pool) for worker in ("worker-0", "worker-1"))
    assert keys_of(second, "worker-1") == ["job/cards/W.json", "rounds/<round>/train/W/<part>.safetensors", "journal.jsonl"]
    assert set(keys_of(first, "worker-0")) - set(keys_of(second, "worker-1")) == {state_key(1), "rounds/<round>/evaluate/W.json"}
    reply = second["leaves"][1]
    assert (reply["bytes_at_least"], reply["bytes_at_most"]) == (4 * 650, 8 * 650)
    assert "examples" in second["stays"]


def test_the_card_is_listed_as_it_would_be_written(pool: Pool) -> None:
    card = what_leaves(tiny_job(), "worker-1", pool, DictStore({}))["leaves"][0]
    assert card["content"]["clients"] == ["client-3", "client-4", "client-5"]
