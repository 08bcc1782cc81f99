"""Gru4Rec's benchmark: how long is learnt follows from sizes alone, and a log of one's own is measured to the end."""

import os
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from benchmarks import gru4rec, session_training
from benchmarks.session_plan import Plan, plan
from benchmarks.session_sets import describe_files, open_sets
from fl_core.errors import InputError
from fl_core.pool import Pool
from fl_core.types import Examples


def sessions(steps: int, items: int) -> Examples:
    """Sessions of one step, the last of the rarest item."""
    y = np.ones((steps, 1), np.int32)
    y[-1] = items
    return Examples(np.ones((steps, 1), np.int32), y)


@pytest.mark.parametrize(
    ("steps", "items", "expected"),
    [
        (4_000, 250, Plan({"name": "gru4rec", "items": 250, "negatives": 2048}, 50, 60, 60, 4)),
        (100_000, 1_000, Plan({"name": "gru4rec", "items": 1_000, "negatives": 2048}, 50, 12, 20, 2)),
        (100_000, 8_192, Plan({"name": "gru4rec", "items": 8_192, "negatives": 2048}, 50, 12, 20, 2)),
        (400_000, 40_000, Plan({"name": "gru4rec", "items": 40_000, "negatives": 2048}, 100, 12, 20, 2)),
        (2_000_000, 40_000, Plan({"name": "gru4rec", "items": 40_000, "negatives": 2048}, 100, 12, 20, 1)),
    ],
)
def test_small_sets_are_learnt_from_more_often(steps: int, items: int, expected: Plan) -> None:
    assert plan(sessions(steps, items), sessions(steps // 4, items)) == expected


def test_what_came_after_the_best_measurement_is_counted() -> None:
    assert session_training.stale([{"recall_at_20": recall} for recall in (0.1, 0.3, 0.2, 0.3)]) == 2
    assert session_training.stale([{"recall_at_20": 0.1}]) == 0


def test_a_log_of_one_s_own_is_measured_to_the_end(tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(session_training, "Pool", lambda processes=None: nullcontext(pool))
    monkeypatch.setattr(gru4rec, "plan", lambda whole, quarter: Plan({"name": "gru4rec", "items": 6, "hidden": 4}, 50, 4, 1, 1))
    monkeypatch.setattr(session_training, "PATIENCE", (0, 1))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    # Sessions of people with gaps in their numbers, one of a single item, and one of an item that the training half lacks.
    rows = [(7 * session, 100 * session + step, 50 + (session + step) % 6) for session in range(20) for step in range(1 + session % 4)]
    (tmp_path / "log.csv").write_text("SessionId,Time,ItemId\n" + "".join(f"{a},{b},{c}\n" for a, b, c in [*rows, (999, 9000, 50), (999, 9001, 99)]))
    found = gru4rec.measure(quick=False, sessions=tmp_path / "log.csv", rounds_at_most=2, steps_at_most=20)
    assert (found.settings["items"], found.settings["training_steps"], found.settings["rounds"]) == (6, 19, 2)
    assert found.ratios["federated_to_central"] > 0
    # Of six items all are among the best twenty.
    assert {value for name, value in found.figures.items() if name.endswith("recall_at_20")} == {1.0}
    assert {f"{name}_mrr_at_20" for name in ("federated", "central", "popular", "session_popular", "item_knn", "markov")} < set(found.figures)
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"sessions {tmp_path}/log.csv, items 6, training_rows ")
    assert sum(line == "central got no better in 1 measurements" for line in said) == 1, "recall is 1 from the first epoch on"
    assert any(line.startswith("federated round 1 of 2: training loss ") for line in said)
    assert any(line.startswith("federated round 2 of 2: recall_at_20 1.0000, ") for line in said)


def test_ratios_to_a_recall_of_nothing_are_left_out_and_few_test_steps_are_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing, something = {"recall_at_20": 0.0, "mrr_at_20": 0.0}, {"recall_at_20": 0.5, "mrr_at_20": 0.1}
    monkeypatch.setattr(gru4rec, "train_all", lambda sets, planned, rounds: ([nothing], [nothing], 4 * [[something]]))
    (tmp_path / "lines.txt").write_text("a b\nb a\n" * 10)
    found = gru4rec.measure(quick=False, sessions=tmp_path / "lines.txt")
    assert found.ratios == {"federated_to_quarter": 0}
    assert found.settings["left_out"] == "federated_to_central, because without the federation no item of the test sessions was found"
    assert "There are 4 test steps; shares of fewer than 100 are chance" in capsys.readouterr().err


def test_a_test_file_and_the_reader_s_options_are_read_as_named(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("who,what\n" + "".join(f"{session},{item}\n" for session in range(8) for item in "ab"))
    (tmp_path / "test.csv").write_text("who,what\n9,b\n9,a\n")
    options = ("data.session=who", "data.item=what")
    sets = open_sets(describe_files(tmp_path / "train.csv", tmp_path / "test.csv", options), options)
    assert (len(sets.whole), sets.test.x.tolist(), sets.test.y.tolist()) == (8, [[2]], [[1]])


@pytest.mark.parametrize(
    ("sessions", "test", "overrides", "sentence"),
    [
        (None, Path("a"), (), "--test is about a file of sessions; name it with --sessions."),
        (None, None, ("data.item=b",), "--set is about a file of sessions; name it with --sessions."),
        (Path("a"), None, ("rounds=3",), "'--set rounds=3' is no option of the reader of sessions; set data.session, data.item, data.layout or another one."),
        (Path("a"), None, ("data.path=b",),
         "'--set data.path=b' is no option of the reader of sessions; set data.session, data.item, data.layout or another one."),
    ],
)  # fmt: skip
def test_options_that_are_not_about_the_file_are_refused(sessions: Path | None, test: Path | None, overrides: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        describe_files(sessions, test, overrides)
    assert str(caught.value) == sentence


def test_a_comparison_needs_test_sessions(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("a b\nb a\n" * 4)
    with pytest.raises(InputError, match=r"data\.test_share is 0; take a larger one, or name a file with --test\."):
        open_sets(describe_files(tmp_path / "lines.txt", None, ()), ("data.test_share=0",))
