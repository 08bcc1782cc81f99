"""Every built-in strategy trains a real model, and ends in the same bits however its clients are spread."""

from pathlib import Path

import pytest

from fl_core import load_job, run
from fl_core.pool import Pool
from fl_core.reference import built_in

DIGITS = Path(__file__).parents[3] / "examples" / "digits.yaml"
NEEDS = {"fed_per": "personal: [bias]"}


@pytest.mark.parametrize("name", built_in("strategy"))
def test_a_strategy_ends_in_the_same_bits_with_one_worker_or_three(name: str, pool: Pool, tmp_path: Path) -> None:
    digests = []
    for workers, parts in ((1, 1), (3, 2)):
        strategy = f"strategy={{name: {name}, {NEEDS.get(name, '')}}}"
        settings = [strategy, "rounds=2", "optimizer.learning_rate=0.1", f"federation={{workers: {workers}, parts: {parts}}}"]
        result = run(load_job(DIGITS, settings), out=tmp_path / f"{workers}", pool=pool)
        assert result.summary["failures"] == []
        digests.append(result.digest)
    assert digests[0] == digests[1]
