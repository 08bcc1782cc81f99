"""What a person sees of a round: its own figures, and no others under its number."""

from typing import Any

import pytest

from fl_core.pool import Pool
from fl_core.run_folder import Run
from fl_core.runner import Progress, go_on, open_run, run
from fl_core.store import DictStore
from pipelines.progress import show_rounds
from tests.jobs import tiny_job

METRICS = {"train_loss": 0.25, "loss": 0.5, "accuracy": 0.75}


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"measured": 3}, "tiny 3/3 accuracy 0.75 loss 0.5 train_loss 0.25 30 examples/s"),
        ({"measured": 2}, "tiny 3/3 accuracy 0.75 loss 0.5 (of round 2) train_loss 0.25 30 examples/s"),
        ({"measured": -1, "metrics": {"train_loss": 0.25}}, "tiny 3/3 train_loss 0.25 30 examples/s"),
        ({"measured": 3, "examples": 0, "seconds": 1e-6}, "tiny 3/3 accuracy 0.75 loss 0.5 train_loss 0.25"),
    ],
)
def test_a_line_says_of_which_round_its_metrics_are_and_has_a_rate_only_where_it_was_trained(
    facts: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Run("r", tiny_job(), DictStore({}))
    with show_rounds("tiny", 3) as shown:
        shown(Progress(**{"round": 3, "rounds": 3, "metrics": METRICS, "examples": 60, "seconds": 2.0, "run": one, **facts}))
    assert capsys.readouterr().err == f"{line}\n"


def test_a_round_that_was_found_done_has_no_examples(tmp_path: Any, pool: Pool) -> None:
    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tiny_job(), out=tmp_path / "run", pool=pool, on_round=stop)
    told: list[Progress] = []
    go_on(open_run(tmp_path / "run"), pool, on_round=told.append)
    assert [(one.round, one.measured, one.examples > 0) for one in told] == [(1, 1, False), (2, 2, True), (3, 3, True)]
