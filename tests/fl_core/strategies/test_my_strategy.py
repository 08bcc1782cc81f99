"""The examples of a strategy, a selection and a program of one's own are run as they are, for a few rounds."""

from pathlib import Path

import pytest

from fl_core import load_job, run
from fl_core.pool import Pool
from tests.fl_core.draws import a_draw

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("name", ["my_strategy", "my_program"])
def test_what_a_user_writes_trains(name: str, pool: Pool, tmp_path: Path) -> None:
    result = run(load_job(EXAMPLES / f"{name}.yaml", ["rounds=4"]), out=tmp_path / "run", pool=pool)
    assert result.summary["failures"] == []
    assert result.metrics["accuracy"] > 0.3


def test_a_selection_of_ones_own_picks_the_worst_and_draws_the_others() -> None:
    job = load_job(EXAMPLES / "my_strategy.yaml")
    select = job.build("selection", job.selection)
    chosen = select(a_draw(dict.fromkeys("abcdef", 1), round=2, losses={"a": 1.0, "b": 5.0, "c": 3.0, "d": 2.0}))
    assert chosen[:2] == ["b", "c"]
    assert len(set(chosen)) == 4
