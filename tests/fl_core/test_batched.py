"""The batched engine: the same training as one client at a time, but for the last bits."""

from pathlib import Path

import numpy as np
import pytest

from fl_core import run
from fl_core.batched import Groups, fit_together
from fl_core.errors import InputError
from fl_core.learning import Learner
from fl_core.pool import Pool
from fl_core.program import Program
from fl_core.programs import logistic, mlp
from fl_core.section import Optimizer
from fl_core.types import Examples, LocalWork
from tests.jobs import tiny_job

LOGISTIC = "program={name: logistic, features: 64, classes: 10}"


def clients(*counts: int) -> list[tuple[Examples, int]]:
    random = np.random.default_rng(1)
    return [(Examples(random.random((count, 8), np.float32), random.integers(0, 3, count)), seed) for seed, count in enumerate(counts)]


@pytest.mark.parametrize("program", [logistic.program(features=8, classes=3), mlp.program(features=8, classes=3, hidden=(5,))], ids=["logistic", "mlp"])
@pytest.mark.parametrize("work", [LocalWork(epochs=2, batch_size=4), LocalWork(steps=3, batch_size=4), LocalWork(batch_size=100, shuffle=False)])
def test_clients_of_unequal_size_end_where_each_would_alone(program: Program, work: LocalWork) -> None:
    assert program.together is not None
    one = Learner(program, Optimizer(name="SGD", learning_rate=0.5), seed=1)
    start = one.weights()
    for (examples, seed), found in zip(clients(9, 4, 1), fit_together(program.together, start, clients(9, 4, 1), work, 0.5), strict=True):
        alone = one.fit(start, examples, work, seed)[0]
        assert (found.steps, found.examples, found.metrics["seen"]) == (alone.steps, alone.examples, alone.metrics["seen"])
        assert found.metrics["loss"] == pytest.approx(alone.metrics["loss"], rel=1e-5)
        assert all(np.allclose(found.move[name], alone.move[name], atol=1e-6) for name in start)


def test_one_client_s_infinity_stays_its_own() -> None:
    program = logistic.program(features=8, classes=3)
    assert program.together is not None
    good, bad = clients(5, 5)
    bad[0].x[0, 0] = np.inf
    start = Learner(program, Optimizer(name="SGD", learning_rate=0.5), seed=1).weights()
    first, second = fit_together(program.together, start, [good, bad], LocalWork(), 0.5)
    assert np.isfinite(first.move["layers.0.weight"]).all()
    assert not np.isfinite(second.move["layers.0.weight"]).all()


def test_who_asks_for_something_else_than_its_group_is_trained_alone() -> None:
    program = logistic.program(features=8, classes=3)
    assert program.together is not None
    start = Learner(program, Optimizer(name="SGD", learning_rate=0.5), seed=1).weights()
    groups = Groups(program.together, 0.5, ["a", "b", "c"], dict(zip("abc", clients(3, 3, 3), strict=True)).__getitem__)
    assert groups.fit("a", start, LocalWork()) is not None
    assert groups.fit("b", start, LocalWork(epochs=2)) is None
    assert groups.fit("c", start, LocalWork()) is not None
    assert groups.fit("a", start, LocalWork()) is None, "a second fit is not what the group was trained for"


def test_a_batched_run_learns_the_same_and_says_that_its_bits_may_differ(tmp_path: Path, pool: Pool) -> None:
    plain = run(tiny_job(LOGISTIC), out=tmp_path / "plain", pool=pool)
    batched = run(tiny_job(LOGISTIC, "engine=batched"), out=tmp_path / "batched", pool=pool)
    assert batched.metrics["loss"] == pytest.approx(plain.metrics["loss"], rel=1e-4)
    assert plain.summary["reproducible"] is True
    assert "engine: batched" in batched.summary["reproducible"]


@pytest.mark.parametrize(("override", "reason"), [("rounds=1", "has no `together`"), ("optimizer={name: Adam, learning_rate: 0.1}", "plain SGD")])
def test_what_cannot_be_batched_is_refused(tmp_path: Path, pool: Pool, override: str, reason: str) -> None:
    program = () if override == "rounds=1" else (LOGISTIC,)
    with pytest.raises(InputError, match=reason):
        run(tiny_job(override, "engine=batched", *program), out=tmp_path / "run", pool=pool)
    assert not (tmp_path / "run").exists()
