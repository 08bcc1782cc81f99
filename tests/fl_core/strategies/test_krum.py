import pytest

from fl_core.errors import InputError, QuorumError
from fl_core.strategies.krum import krum
from fl_core.strategies.multi_krum import multi_krum
from tests.fl_core.harness import numbers, person, play, small_run, three

PEOPLE = [person(name, three(target, 0, 0)) for name, target in zip("abcde", (0, 2, 4, 8, 200), strict=True)]


def test_one_round_by_hand() -> None:
    # Moves 0, 1, 2, 4, 100; to the 5 - 1 - 2 = 2 nearest: 1 + 4, 1 + 1, 1 + 4, 4 + 9, 96**2 + 98**2. The second is chosen.
    assert numbers(play(small_run(krum(byzantine=1), PEOPLE, three(0, 0, 0)), PEOPLE).weights) == [1, 0, 0]


def test_several_may_be_kept() -> None:
    # The first four: (0 + 1 + 2 + 4) / 4.
    assert numbers(play(small_run(multi_krum(byzantine=1, keep=4), PEOPLE, three(0, 0, 0)), PEOPLE).weights) == [1.75, 0, 0]


def test_a_round_with_too_few_clients_is_below_its_quorum() -> None:
    run = small_run(krum(byzantine=1), PEOPLE, three(0, 0, 0))
    with pytest.raises(QuorumError, match=r"Round 1 has 4 of 5 clients, below the quorum of 5; missing are b \(worker-0\): ill"):
        play(run, PEOPLE, leave_out={"b": "ill"})


def test_a_draw_of_too_few_clients_is_refused_before_anybody_trains() -> None:
    run = small_run(krum(byzantine=1), PEOPLE[:4], three(0, 0, 0))
    with pytest.raises(InputError, match=r"Round 1 draws 4 clients, but the strategy '.*' needs 5 a round; draw more, or change its options."):
        play(run, PEOPLE)


def test_keeping_attackers_is_refused() -> None:
    with pytest.raises(ValueError, match=r"keep is 5; of the 5 clients that a round may come down to, at most 4 are no attackers"):
        multi_krum(byzantine=1, keep=5)
