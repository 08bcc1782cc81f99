import json
from typing import Any

import pytest

from fl_core import scheduler
from fl_core.codec import Record, decode_tensors
from fl_core.reply import NO_REPLY
from fl_core.run_folder import Run, metrics_key, state_key
from fl_core.server import close
from fl_core.summary import held_out_metrics, merge_metrics, rows, write_summary
from fl_core.types import Weights
from tests.fl_core.harness import PEOPLE, numbers, play, replied, three_clients


def test_held_out_figures_are_weighed_by_examples_and_spread_over_clients() -> None:
    clients = {
        "a": {"examples": 1, "metrics": {"accuracy": 0.0}},
        "b": {"examples": 3, "metrics": {"accuracy": 1.0}},
        "c": {"examples": 4, "metrics": {"accuracy": 0.5}},
    }
    # (1 * 0 + 3 * 1 + 4 * 0.5) / 8; percentiles of 0, 0.5, 1
    assert held_out_metrics(clients) == pytest.approx(
        {"accuracy": 0.625, "accuracy_held_out": 0.625, "accuracy_p10": 0.1, "accuracy_p50": 0.5, "accuracy_p90": 0.9}
    )
    assert held_out_metrics({}) == {}


def evaluated(run: Run, round: int, worker: str, clients: Weights | dict[str, Any], **test: float) -> None:
    record: Record = {"round": round, "worker": worker, "state": run.digest(state_key(round)), "clients": clients}
    run.put(f"rounds/{round:04d}/evaluate/{worker}.json", record | ({"test": {"examples": 10, "metrics": test}} if test else {}))


def test_the_test_set_names_a_metric_before_the_held_out_parts() -> None:
    run = three_clients(evaluate={"on": "both"}, data={"name": "digits", "held_out": 0.5})
    evaluated(run, 1, "worker-0", {"a": {"examples": 1, "metrics": {"accuracy": 0.0}}}, accuracy=0.75)
    evaluated(run, 1, "worker-1", {"b": {"examples": 1, "metrics": {"accuracy": 1.0}}})
    merged = merge_metrics(run, 1)
    assert merged is not None
    assert (merged["metrics"]["accuracy"], merged["metrics"]["accuracy_held_out"]) == (0.75, 0.5)
    assert sorted(merged["clients"]) == ["a", "b"]
    assert run.record(metrics_key(1)) == merged


def test_a_round_that_nobody_measured_has_no_metrics() -> None:
    run = three_clients()
    assert merge_metrics(run, 1) is None
    assert not run.store.exists(metrics_key(1))


def test_there_is_a_row_for_the_start_and_one_for_each_round() -> None:
    run = three_clients()
    evaluated(run, 1, "worker-0", {}, accuracy=0.1)
    play(run, PEOPLE)
    scheduler.plan(run, 2)
    close(run, 2)
    assert rows(run) == [
        {"round": 0, "metrics": {"accuracy": 0.1}},
        {"round": 1, "metrics": {}, "clients": 3, "left_out": 0, "examples": 4, "train_loss": 2.0},
        {"round": 2, "metrics": {}, "clients": 0, "left_out": 3, "examples": 0},
    ]


def test_a_run_is_finished_once_with_its_figures() -> None:
    run = three_clients()
    replied(run, without="worker-1")
    close(run, 1)
    evaluated(run, 2, "worker-0", {}, accuracy=0.5)
    summary = write_summary(run, {"runner": "process", "seconds": 2.0})
    assert {key: summary[key] for key in ("name", "run", "rounds", "metrics", "examples", "seconds")} == {
        "name": "small", "run": "small", "rounds": 1, "metrics": {"accuracy": 0.5}, "examples": 3, "seconds": 2.0,
    }  # fmt: skip
    assert summary["failures"] == [{"round": 1, "client": "b", "worker": "worker-1", "reason": NO_REPLY}]
    assert [json.loads(line)["round"] for line in bytes(run.store.get("metrics.jsonl")).splitlines()] == [0, 1]
    weights, record = decode_tensors(run.store.get("model.safetensors"), "model")
    assert numbers(weights) == numbers(run.state(2).weights)
    assert record["digest"] == summary["digest"]
    assert write_summary(run, {"seconds": 3.0}) == summary


def test_a_finish_that_was_cut_short_is_made_anew() -> None:
    run = three_clients()
    play(run, PEOPLE)
    run.store.put("model.safetensors", b"half")
    write_summary(run, {})
    assert decode_tensors(run.store.get("model.safetensors"), "model")[0]
