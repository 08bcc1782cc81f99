"""What a comparison reads of a run, from real runs of a second each."""

import json
from pathlib import Path

import numpy as np
import pytest

from fl_core import run
from fl_core.codec import encode_state
from fl_core.comparison_facts import Outcome, bytes_received, bytes_sent, client_bytes, examples, read_outcome, walked
from fl_core.errors import InputError
from fl_core.job import parse_job
from fl_core.pool import Pool
from fl_core.run_folder import Run, close_key, state_key
from fl_core.runner import Result, open_run
from fl_core.store import DictStore, FileStore
from fl_core.strategies.fed_avg import fed_avg
from fl_core.types import RoundState
from tests.fl_core.outcomes import JOB, an_outcome
from tests.fl_core.test_report import a_new_run
from tests.jobs import tiny_job


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> Result:
    return run(tiny_job("rounds=2"), out=tmp_path_factory.mktemp("finished") / "run", pool=pool)


@pytest.fixture(scope="module")
def outcome(finished: Result) -> Outcome:
    return read_outcome(finished.run)


def test_a_finished_run_is_read_as_its_summary_says(finished: Result, outcome: Outcome) -> None:
    assert (outcome.status, outcome.rounds, outcome.digest) == ("finished", 2, finished.digest)
    assert outcome.table[-1]["metrics"] == finished.metrics
    assert (outcome.seconds, examples(outcome)) == (finished.summary["seconds"], finished.summary["examples"])
    assert outcome.place == finished.run.store.uri.removeprefix("file://")


def test_rows_that_the_summary_does_not_name_are_refused(finished: Result) -> None:
    store = finished.run.store
    before = bytes(store.get("metrics.jsonl"))
    store.delete("metrics.jsonl")
    store.put("metrics.jsonl", before.replace(b'"round":1', b'"round":9'))
    try:
        with pytest.raises(InputError, match=r"'metrics.jsonl' in .* is not the one that its summary names; it was changed"):
            read_outcome(open_run(store.uri))
    finally:
        store.delete("metrics.jsonl")
        store.put("metrics.jsonl", before)


def test_a_run_that_is_cut_short_is_read_as_far_as_it_got(finished: Result, tmp_path: Path) -> None:
    short = FileStore(tmp_path / "short")
    for key in finished.run.store.list("job/") + finished.run.store.list("rounds/0001/") + finished.run.store.list("rounds/0002/"):
        short.put(key, finished.run.store.get(key))
    one = open_run(tmp_path / "short")
    assert (read_outcome(one).status, read_outcome(one).rounds) == ("not finished", 1)
    assert (read_outcome(one, "Too few.").status, read_outcome(one, "Too few.").why) == ("failed", "Too few.")


def test_the_time_of_a_resumed_run_is_that_of_all_its_stages(finished: Result) -> None:
    store = DictStore({})
    for key in ("metrics.jsonl", *finished.run.store.list("job/"), *finished.run.store.list("rounds/")):
        store.put(key, finished.run.store.get(key))
    store.append("journal.jsonl", b'{"event": "stage", "stage": "train", "round": 1, "seconds": 100.0}\n')
    resumed = Run(finished.run.name, finished.run.job, store, finished.run.private)
    unsigned = {key: value for key, value in finished.summary.items() if key != "signature"}
    resumed.put("summary.json", {**unsigned, "resumed_from": 1, "seconds": 1.0})
    assert read_outcome(resumed).seconds == 100.0


def a_run_of(strategy: str, state: RoundState) -> Run:
    one = a_new_run(parse_job(JOB, [f"strategy={strategy}"]), DictStore({}))
    one.store.put(state_key(state.round), encode_state(state))
    return one


MATRIX = {"w": np.zeros((10, 4), np.float32), "b": np.zeros(4, np.float32)}


@pytest.mark.parametrize(
    ("strategy", "memory", "sent", "received"),
    [
        ("fed_avg", {}, 44 * 4, 44 * 4),
        ("fed_adam", {"m/w": MATRIX["w"], "v/w": MATRIX["w"]}, 44 * 4, 124 * 4),
        ("scaffold", MATRIX, 2 * 44 * 4, 2 * 44 * 4),
        ("{name: top_k, keep: 0.1}", {}, 8 + 4 * (4 + 4) + 4 * 4, 44 * 4),
        ("{name: quantised, bits: 2}", {}, 8 + 10 + 8 + 4 * 4, 44 * 4),
    ],
)
def test_a_client_sends_its_update_as_it_is_coded_and_receives_the_state(strategy: str, memory: dict[str, np.ndarray], sent: int, received: int) -> None:
    assert client_bytes(a_run_of(strategy, RoundState(1, MATRIX, memory))) == (sent, received)


def test_what_a_compressing_strategy_says_it_sent_is_what_is_counted(tmp_path: Path, pool: Pool) -> None:
    one = run(tiny_job("rounds=1", "strategy={name: top_k, keep: 0.05}"), out=tmp_path / "run", pool=pool).run
    said = sum(figures["bytes_up"] for figures in one.record(close_key(1))["clients"].values())
    assert bytes_sent(read_outcome(one)) == said


def test_a_strategy_from_python_has_unknown_bytes(tmp_path: Path, pool: Pool) -> None:
    one = read_outcome(run(tiny_job("rounds=1"), strategy=fed_avg(batch_size=32), out=tmp_path / "run", pool=pool).run)
    assert (one.sent, one.received, bytes_sent(one), bytes_received(one), walked(one, "bytes")) == (None, None, None, None, [])


def test_every_axis_adds_up_round_by_round() -> None:
    one = an_outcome([0.1, 0.2, 0.3])
    assert walked(one, "rounds") == [0, 1, 2]
    assert walked(one, "examples") == [0, 50, 100]
    assert walked(one, "bytes") == [0, 200, 400]
    assert walked(one, "seconds") == [0, 2, 4]


def test_simulated_seconds_add_up_where_there_are_devices_and_are_no_axis_elsewhere() -> None:
    assert walked(an_outcome([0.1, 0.2, 0.3], simulated=5.0), "simulated seconds") == [0, 5, 10]
    assert walked(an_outcome([0.1, 0.2, 0.3]), "simulated seconds") == []


def test_who_was_left_out_received_but_did_not_send() -> None:
    one = an_outcome([0.1, 0.2])
    assert (bytes_sent(one), bytes_received(one)) == (2 * 100, 3 * 200)


def test_reading_changes_nothing(finished: Result) -> None:
    keys = finished.run.store.list("")
    read_outcome(open_run(finished.run.store.uri))
    assert finished.run.store.list("") == keys
    assert json.loads(bytes(finished.run.store.get("summary.json")))["digest"] == finished.digest
