"""A worker may write anything where its evaluation is to lie: it is left out with the reason, and nobody stops for it."""

from collections.abc import Callable

import pytest

from fl_core.codec import Record, encode_record
from fl_core.evaluation import evaluation_of
from fl_core.journal import read_journal
from fl_core.receipt import measured
from fl_core.reply import Unacceptable
from fl_core.run_folder import Run, evaluation_key, state_key
from fl_core.scheduler import why_finished
from fl_core.summary import merge_metrics
from tests.fl_core.harness import three_clients

KEY = evaluation_key(1, "worker-1")


def half_measured() -> Run:
    """The first state, which worker-0 has measured on the test set and on its client."""
    run = three_clients(evaluate={"on": "both"}, data={"name": "digits", "held_out": 0.5}, stop_when={"accuracy": 0.9})
    test = {"examples": 10, "metrics": {"accuracy": 0.5}}
    run.put(evaluation_key(1, "worker-0"), {**honest(run, "worker-0", "a"), "test": test})
    return run


def honest(run: Run, worker: str = "worker-1", client: str = "b") -> Record:
    figures = {"examples": 3, "metrics": {"accuracy": 0.25}}
    return {"round": 1, "worker": worker, "state": run.digest(state_key(1)), "clients": {client: figures}}


def test_an_evaluation_is_read_as_it_was_written_and_none_where_there_is_none() -> None:
    run = half_measured()
    assert evaluation_of(run, 1, "worker-1") is None
    run.put(KEY, honest(run))
    found = evaluation_of(run, 1, "worker-1")
    assert found is not None
    assert found["clients"]["b"]["metrics"] == {"accuracy": 0.25}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"garbage", "its evaluation was refused: .* is not JSON"),
        (b'{"format":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "its evaluation was refused: .* is not JSON"),
        (b'{"format":1,"x":NaN}', "its evaluation was refused: .* it was changed after it was written"),
        (encode_record({"signer": "worker-1", "signature": "mine"}), "its evaluation was refused: .* does not carry the signature of 'worker-1'"),
    ],
)
def test_what_worker_1_did_not_write_is_refused(data: bytes, reason: str) -> None:
    run = half_measured()
    run.store.put(KEY, data)
    with pytest.raises(Unacceptable, match=reason):
        evaluation_of(run, 1, "worker-1")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r.pop("state"), "'state' is not what an evaluation holds"),
        (lambda r: r.pop("clients"), "'clients' is not what an evaluation holds"),
        (lambda r: r.update(clients=["b"]), "'clients' is not what an evaluation holds"),
        (lambda r: r["clients"]["b"].update(examples=0), "'clients.b.examples' is not what an evaluation holds"),
        (lambda r: r["clients"]["b"].update(metrics={"accuracy": "1"}), "'clients.b.metrics.accuracy' is not what an evaluation holds"),
        (lambda r: r["clients"]["b"].update(metrics={"accuracy": 1e308}), "'clients.b.metrics.accuracy' is not what an evaluation holds"),
        (lambda r: r.update(round=2), "of another state than round 1 starts from"),
        (lambda r: r.update(state="0" * 64), "of another state than round 1 starts from"),
        (lambda r: r["clients"].update(a=r["clients"]["b"]), "of clients that are not its own"),
        (lambda r: r.update(test={"examples": 1, "metrics": {"accuracy": 1.0}}), "of the test set, which is not its to measure"),
    ],
)
def test_what_worker_1_signed_and_was_not_asked_for_is_refused(change: Callable[[Record], None], reason: str) -> None:
    run = half_measured()
    record = honest(run)
    change(record)
    run.put(KEY, record)
    with pytest.raises(Unacceptable, match=reason):
        evaluation_of(run, 1, "worker-1")


def test_one_that_is_refused_is_counted_nowhere_and_said_once() -> None:
    run = half_measured()
    run.store.put(KEY, b"garbage")
    merged = merge_metrics(run, 1)
    assert merged == merge_metrics(run, 1)
    assert merged is not None
    assert merged["metrics"]["accuracy"] == 0.5
    assert sorted(merged["clients"]) == ["a"]
    assert [(line["worker"], line["reason"]) for line in read_journal(run) if line["event"] == "refused"] == list(merged["refused"].items())
    assert measured(run, 1, "worker-1") == {}


def test_a_client_that_names_other_metrics_than_the_rest_takes_nobody_elses_away() -> None:
    run = half_measured()
    run.put(KEY, {**honest(run), "clients": {"b": {"examples": 3, "metrics": {"mine": 1.0}}}})
    merged = merge_metrics(run, 1)
    assert merged is not None
    assert (merged["metrics"]["accuracy_held_out"], merged["metrics"]["mine"]) == (0.25, 1.0)


def test_a_goal_that_rests_on_a_refused_evaluation_does_not_end_the_job() -> None:
    run = three_clients(stop_when={"accuracy": 0.9})
    run.store.put(evaluation_key(1, "worker-0"), b"garbage")
    assert merge_metrics(run, 1) is not None
    assert why_finished(run, 1) is None
