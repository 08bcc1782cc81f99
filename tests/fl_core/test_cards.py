from pathlib import Path
from typing import Any

import pytest

from fl_core.cards import find_mismatches, read_card
from fl_core.codec import Record
from fl_core.errors import InputError
from fl_core.job import parse_job

JOB = "{format: 1, name: a, program: digits, data: digits, rounds: 1, federation: {workers: 3}}"


def card(number: int, **more: Any) -> Record:
    x, y = {"dtype": "float32", "shape": [4]}, {"dtype": "int64", "shape": [], "range": [0, 9]}
    whole = {"worker": f"worker-{number}", "clients": [f"client-{number}"], "sizes": [5], "fingerprint": "f", "test": 7, "x": x, "y": y}
    return {**whole, **more}


def labels(low: int, high: int, dtype: str = "int64") -> Record:
    return {"dtype": dtype, "shape": [], "range": [low, high]}


def told(*cards: Record, job: str = JOB, **more: Any) -> list[str]:
    return find_mismatches(parse_job(job), cards, **more)


def test_cards_that_fit_say_nothing() -> None:
    assert told(card(0), card(1), card(2)) == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"x": {"dtype": "int64", "shape": [4]}}, "The worker 'worker-0' has int64 as x's type, but 'worker-1' has float32; make them equal."),
        ({"x": {"dtype": "float32", "shape": [2, 2]}}, "The worker 'worker-0' has (2, 2) as x's shape, but 'worker-1' has (4,); make them equal."),
        (
            {"y": {"dtype": "float32", "shape": [], "range": [0, 9]}},
            "The worker 'worker-0' has float32 as y's type, but 'worker-1' has int64; make them equal.",
        ),
        (
            {"y": labels(1, 10)},
            "The worker 'worker-0' has 1 to 10 as its range of labels, but 'worker-1' has 0 to 9; number the classes alike, or say --uneven-labels.",
        ),
        ({"clients": [], "sizes": []}, "The worker 'worker-0' holds no client; give it data, or take it out of federation.workers."),
        ({"sizes": [5, 5]}, "The card of the worker 'worker-0' names 1 clients and 2 sizes; make it again."),
        ({"sizes": [0]}, "The worker 'worker-0' has a client with 0 examples, and the job needs at least 1; leave the client out."),
        ({"clients": ["client-1"]}, "The client 'client-1' is held by two workers; a client belongs to one."),
    ],
)
def test_the_odd_one_out_is_named(changed: Record, sentence: str) -> None:
    assert told(card(0, **changed), card(1), card(2)) == [sentence]


def test_every_mismatch_has_its_own_sentence() -> None:
    assert len(told(card(0), card(1, sizes=[0], y=labels(1, 2)), card(2, x={"dtype": "int8", "shape": [3]}))) == 4


def test_labels_may_be_uneven_where_it_is_said_but_fit_the_classes_of_the_program() -> None:
    cards = [card(0), card(1, y=labels(0, 4)), card(2)]
    assert told(*cards, uneven_labels=True) == []
    logistic = JOB.replace("program: digits", "program: {name: logistic, classes: CLASSES}")
    assert told(*cards, job=logistic.replace("CLASSES", "10")) == []
    assert told(*cards, job=logistic.replace("CLASSES", "9")) == [
        f"The worker 'worker-{number}' has labels from 0 to 9, but program.classes is 9; they go from 0 to 8." for number in (0, 2)
    ]


def test_measured_labels_have_ranges_of_their_own() -> None:
    assert told(*(card(number, y=labels(0, number + 1, "float32")) for number in range(3))) == []


def test_features_classes_and_items_are_compared() -> None:
    named = {"features": ["age", "pressure"], "classes": ["no", "yes"], "vocabulary": "f00"}
    assert told(card(0, **named), card(1, **named), card(2, **named)) == []
    other = {"features": ["pressure", "age"], "classes": ["yes", "no"], "vocabulary": "f01"}
    assert [sentence.split(" is ")[0] for sentence in told(card(0, **named), card(1, **other), card(2, **named))] == [
        "Feature 1 of the worker 'worker-1'",
        "Label 0 of the worker 'worker-1'",
        "The worker 'worker-1' numbers its items by another list than 'worker-0'; give all workers the same file as data.items_path.",
    ]


def test_labels_with_the_same_names_may_have_ranges_of_their_own() -> None:
    ranges = [labels(0, 1), labels(1, 2), labels(0, 2)]
    assert told(*(card(number, y=y, classes=["a", "b", "c"]) for number, y in enumerate(ranges))) == []
    assert told(*(card(number, y=labels(0, 1 + number // 2), classes=["a", "b", "c"][: 2 + number // 2]) for number in range(3))) == [
        "The worker 'worker-2' has 0 to 2 as its range of labels, but 'worker-0' has 0 to 1; give all workers the same data.classes, or say --uneven-labels."
    ]


def test_sessions_of_one_list_of_items_may_be_of_any_length() -> None:
    def sessions(number: int, **more: str) -> Record:
        kind = {"dtype": "int32", "shape": [number + 3]}
        return card(number, x=kind, y={**kind, "range": [1, number + 7]}, **more)

    assert told(*(sessions(number, vocabulary="f00") for number in range(3))) == []
    assert len(told(*map(sessions, range(3)))) == 6


def test_missing_unknown_and_doubled_workers_are_named() -> None:
    unknown, twice, missing = told(card(0), card(1), card(1), card(7))
    assert unknown.startswith("The job has no worker 'worker-7'; did you mean 'worker-")
    assert twice == "There are 2 cards of the worker 'worker-1'; give one."
    assert missing == "The card of the worker 'worker-2' is not there; every worker of the job gives one."


def test_a_job_that_evaluates_on_a_test_set_needs_one() -> None:
    cards = [card(number, test=0) for number in range(3)]
    assert told(*cards) == ["No worker has a test set, but evaluate.on is 'test'; give one of them a test set, or set it to held_out."]
    held_out = JOB.replace("data: digits", "data: {name: digits, held_out: 0.2}, evaluate: {on: held_out}")
    assert told(*cards, job=held_out) == []


def test_holding_out_needs_two_examples_of_each_client() -> None:
    held_out = JOB.replace("data: digits", "data: {name: digits, held_out: 0.2}")
    assert told(card(0, sizes=1), card(1), card(2), job=held_out) == [
        "The worker 'worker-0' has a client with 1 examples, and the job needs at least 2; leave the client out."
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [(None, "cannot be read"), ("{", "is not JSON"), ("[]", "is no data card"), ('{"worker": "a"}', "clients.* is missing")],
)
def test_what_is_no_card_is_one_sentence(tmp_path: Path, text: str | None, sentence: str) -> None:
    if text is not None:
        (tmp_path / "card.json").write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_card(tmp_path / "card.json")
