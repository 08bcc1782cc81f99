"""What attackers of the benchmark send, by hand, and that a strategy around another leaves the honest alone."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.attackers import CORRUPTIONS, attacked, flipped_digits
from benchmarks.attacks import ATTACKS, STRATEGIES, attacked_job, ratios_of
from fl_core import run
from fl_core.pool import Pool
from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategies.median import median
from fl_core.types import RoundState
from tests.fl_core.harness import numbers, person, play, small_run, three

STATE = RoundState(1, three(1, 4, 5))
MOVE = three(3, 0, -4)


def corrupted(attack: str, strength: float = 1.0) -> list[float]:
    return numbers(CORRUPTIONS[attack](strength)(MOVE, STATE))


def test_an_attack_sends_what_its_name_says() -> None:
    assert corrupted("sign_flip") == [-3, 0, 4]
    assert corrupted("scale", 10) == [-30, 0, 40]
    assert np.isnan(corrupted("nan")).all()


def test_colluders_send_one_move_of_the_agreed_length_towards_the_wrong_classes() -> None:
    # The row (1, 4) rolled by one is (4, 1): the wrong model lies (3, -3) away; b has one number, which stays.
    assert corrupted("colluding", 18**0.5) == pytest.approx([3, -3, 0])
    assert corrupted("colluding", 2 * 18**0.5) == pytest.approx([6, -6, 0])


def test_only_the_first_clients_attack() -> None:
    people = [person(f"client-{number}", three(2, 0, -2)) for number in range(3)]
    for around, expected in ((fed_avg(), [1 / 3, 0, -1 / 3]), (median(), [1, 0, -1])):
        run = small_run(attacked(around, "sign_flip", attackers=1, clients=3), people, three(0, 0, 0))
        assert numbers(play(run, people).weights) == pytest.approx(expected)


def test_a_nan_is_left_out_by_its_worker() -> None:
    people = [person(f"client-{number}", three(2, 0, -2)) for number in range(3)]
    run = small_run(attacked(fed_avg(), "nan", attackers=1, clients=3), people, three(0, 0, 0))
    assert numbers(play(run, people).weights) == [1, 0, -1]
    assert [entry["client"] for entry in run.record("rounds/0001/close.json")["left_out"]] == ["client-0"]


def test_liars_turn_their_labels_over_and_nobody_else() -> None:
    honest, lied = flipped_digits(20, 0), flipped_digits(20, 5)
    for place, name in enumerate(honest.clients):
        before, after = honest.open(name), lied.open(name)
        assert (before.x == after.x).all()
        assert (after.y == (9 - before.y if place < 5 else before.y)).all()


def test_a_ratio_is_the_worst_attack_over_none() -> None:
    figures = {f"{name}_{attack}": 0.9 for name in STRATEGIES for attack in ATTACKS} | {"krum_colluding_quiet": 0.09}
    assert ratios_of(figures)["krum_worst_to_none"] == 0.1
    assert ratios_of(figures)["median_worst_to_none"] == 1.0


def test_plain_averaging_falls_where_the_median_stands(pool: Pool, tmp_path: Path) -> None:
    accuracy = {
        name: run(attacked_job(name, "scale", rounds=6), out=tmp_path / name, pool=pool).metrics["accuracy"] for name in ("fed_avg", "median")
    }  # fmt: skip
    assert accuracy["fed_avg"] < 0.5 < 0.8 < accuracy["median"]
