"""Gru4Rec's benchmark: how long is learnt follows from sizes alone, and a log of one's own is measured to the end."""

import os
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from benchmarks import gru4rec
from benchmarks.session_plan import Plan, plan
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
    assert gru4rec._stale([{"recall_at_20": recall} for recall in (0.1, 0.3, 0.2, 0.3)]) == 2
    assert gru4rec._stale([{"recall_at_20": 0.1}]) == 0


def test_a_log_of_one_s_own_is_measured_to_the_end(tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(gru4rec, "Pool", lambda processes=None: nullcontext(pool))
    monkeypatch.setattr(gru4rec, "plan", lambda whole, quarter: Plan({"name": "gru4rec", "items": 6, "hidden": 4}, 50, 4, 1, 1))
    monkeypatch.setattr(gru4rec, "PATIENCE", (0, 1))
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
