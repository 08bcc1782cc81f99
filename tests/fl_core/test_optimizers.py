"""Every optimizer that a job may name trains, keeps its state between rounds where the job says so, and follows a schedule."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from fl_core import load_job, run
from fl_core.codec import digest_weights
from fl_core.errors import InputError
from fl_core.learning import Learner, known_optimizers
from fl_core.pool import Pool
from fl_core.program import Program
from fl_core.programs import digits
from fl_core.section import Optimizer
from fl_core.types import Examples, LocalWork, Weights

NEEDS: Mapping[str, dict[str, Any]] = {"ASGD": {"batch_num": 6}}
REMEMBER_NOTHING = ("SGD", "LBFGS")
WORK = LocalWork(epochs=1, batch_size=10)
DIGITS = Path(__file__).parents[2] / "examples" / "digits.yaml"


def settings(name: str, **more: Any) -> Optimizer:
    return Optimizer(name=name, learning_rate=0.01, **{**NEEDS.get(name, {}), **more})


def learner(name: str, **more: Any) -> Learner:
    return Learner(digits.program, settings(name, **more), seed=1)


@pytest.fixture(scope="module")
def examples() -> Examples:
    random = np.random.default_rng(0)
    y = random.integers(0, 10, 60)
    return Examples((np.eye(10, 64)[y] + random.random((60, 64)) / 4).astype(np.float32), y)


def after(weights: Weights, move: Weights) -> dict[str, np.ndarray]:
    return {name: weights[name] + move[name] for name in weights}


@pytest.mark.parametrize("name", known_optimizers())
def test_an_optimizer_lowers_the_loss_and_repeats_its_bits(name: str, examples: Examples) -> None:
    one = learner(name)
    start = one.weights()
    trained, kept = one.fit(start, examples, WORK, seed=3)
    again, _ = one.fit(start, examples, WORK, seed=3)
    assert one.loss(after(start, trained.move), examples) < one.loss(start, examples)
    assert digest_weights(again.move) == digest_weights(trained.move)
    assert (kept, trained.steps) == ({}, 6)


@pytest.mark.parametrize("name", [name for name in known_optimizers() if name not in REMEMBER_NOTHING])
def test_a_kept_state_goes_on_with_the_same_bits_in_a_process_with_another_past(name: str, examples: Examples) -> None:
    one, other = learner(name, state="keep"), learner(name, state="keep")
    start = one.weights()
    trained, kept = one.fit(start, examples, WORK, seed=3)
    for seed in (7, 8):
        other.fit(start, examples, WORK, seed=seed)
    middle = after(start, trained.move)
    here, kept_here = one.fit(middle, examples, WORK, 4, None, kept)
    there, kept_there = other.fit(middle, examples, WORK, 4, None, kept)
    forgetful, _ = one.fit(middle, examples, WORK, 4, None, {})
    assert digest_weights(here.move) == digest_weights(there.move) != digest_weights(forgetful.move)
    assert digest_weights(kept_here) == digest_weights(kept_there)


@pytest.mark.parametrize("name", known_optimizers())
def test_a_tenth_of_the_rate_is_another_run_than_the_whole(name: str, examples: Examples) -> None:
    one = learner(name)
    assert one.learning_rate == 0.01
    whole, _ = one.fit(one.weights(), examples, WORK, seed=3)
    start = learner(name).weights()
    tenth, _ = one.fit(start, examples, WORK, 3, None, None, 0.1)
    written = Learner(digits.program, Optimizer(**{**settings(name).model_dump(), "learning_rate": 0.01 * 0.1}), seed=1)
    by_hand, _ = written.fit(start, examples, WORK, seed=3)
    assert digest_weights(tenth.move) == digest_weights(by_hand.move) != digest_weights(whole.move)


def test_lbfgs_says_that_it_cannot_keep_a_state() -> None:
    with pytest.raises(InputError, match=r"optimizer.state is 'keep', but LBFGS has no state that could be stored; set it to 'reset'."):
        learner("LBFGS", state="keep")


def test_an_optimizer_of_the_program_with_a_schedule_of_its_own_takes_no_other(examples: Examples) -> None:
    def optimizer(parameters: Any) -> Any:
        return paddle.optimizer.SGD(paddle.optimizer.lr.StepDecay(0.1, 1), parameters=parameters)

    program = Program(model=digits.program.model, loss=digits.program.loss, optimizer=optimizer)
    one = Learner(program, Optimizer(), seed=1)
    with pytest.raises(InputError, match=r"the program's optimizer has a learning-rate schedule of its own; keep one of the two."):
        one.fit(one.weights(), examples, WORK, 3, None, None, 0.5)


def test_clients_carry_their_moments_between_rounds_whichever_process_trains_them(pool: Pool, tmp_path: Path) -> None:
    digests = []
    for place, federation in enumerate(("{workers: 1, parts: 1}", "{workers: 3, parts: 2}")):
        changes = ["rounds=3", "optimizer={name: Adam, learning_rate: 0.01, state: keep}", f"federation={federation}"]
        digests.append(run(load_job(DIGITS, changes), out=tmp_path / f"{place}", pool=pool).digest)
    forgetful = run(load_job(DIGITS, ["rounds=3", "optimizer={name: Adam, learning_rate: 0.01}"]), out=tmp_path / "reset", pool=pool)
    assert digests[0] == digests[1] != forgetful.digest


def test_a_schedule_in_the_job_slows_the_later_rounds(pool: Pool, tmp_path: Path) -> None:
    base = ["rounds=2", "optimizer.learning_rate=0.1"]
    plain = run(load_job(DIGITS, base), out=tmp_path / "plain", pool=pool).run
    slowed = run(load_job(DIGITS, [*base, "optimizer.schedule={name: step, every_rounds: 1, gamma: 0.1}"]), out=tmp_path / "slowed", pool=pool).run
    moves = [np.abs(one.state(3).weights["weight"] - one.state(2).weights["weight"]).sum() for one in (plain, slowed)]
    assert digest_weights(plain.state(2).weights) == digest_weights(slowed.state(2).weights)
    assert moves[1] < moves[0] / 5
