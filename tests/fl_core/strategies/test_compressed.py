"""top_k, random_mask and quantised: what is sent, what arrives, and how many bytes it is."""

import numpy as np
import pytest

from fl_core.codec import decode_tensors
from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategies.fed_avgm import fed_avgm
from fl_core.strategies.median import median
from fl_core.strategies.quantised import _pack, _unpack, quantised
from fl_core.strategies.random_mask import random_mask
from fl_core.strategies.top_k import top_k
from fl_core.strategy import Strategy
from fl_core.types import ModelUpdate, Weights
from tests.fl_core.harness import numbers, person, play, replies, small_run


def square(*numbers: float) -> Weights:
    """A square of four numbers, which is encoded, and a fifth, which is not."""
    return {"w": np.array(numbers[:4], np.float32).reshape(2, 2), "b": np.array(numbers[4:], np.float32)}


PEOPLE = [person("a", square(2, 4, 6, 8, 10))]
START = square(0, 0, 0, 0, 0)


def test_top_k_two_rounds_by_hand() -> None:
    # The moves are 1, 2, 3, 4: the 4 is sent. Next they are 1, 2, 3, 2 and what was left out comes on top: 2, 4, 6, 2, of which the 6 is sent.
    run = small_run(top_k(keep=0.25), PEOPLE, START)
    assert numbers(play(run, PEOPLE).weights) == [0, 0, 0, 4, 5]
    assert numbers(play(run, PEOPLE, round=2).weights) == [0, 0, 6, 4, 7.5]


def test_top_k_without_feedback_forgets_what_it_left_out() -> None:
    run = small_run(top_k(keep=0.25, feedback=False), PEOPLE, START)
    play(run, PEOPLE)
    assert numbers(play(run, PEOPLE, round=2).weights) == [0, 0, 3, 4, 7.5]
    assert run.private.list("clients/") == []


def test_a_random_mask_sends_some_numbers_and_scales_them_up() -> None:
    sent = numbers(play(small_run(random_mask(keep=0.5), PEOPLE, START), PEOPLE).weights)
    assert sent[4] == 5
    assert sorted(number for number in sent[:4] if number) == sorted(2.0 * (place + 1) for place in range(4) if sent[place])
    assert np.count_nonzero(sent[:4]) == 2


def test_one_bit_says_which_end_of_the_range() -> None:
    people = [person("a", square(0, 8, 8, 0, 10))]
    assert numbers(play(small_run(quantised(bits=1), people, START), people).weights) == [0, 4, 4, 0, 5]


def test_eight_bits_miss_by_less_than_a_level() -> None:
    arrived = numbers(play(small_run(quantised(bits=8), PEOPLE, START), PEOPLE).weights)
    assert np.abs(np.subtract(arrived, [1, 2, 3, 4, 5])).max() < 3 / 255


@pytest.mark.parametrize("strategy", [random_mask(keep=0.5), quantised(bits=2)], ids=["random_mask", "quantised"])
def test_over_many_draws_the_mean_is_right(strategy: Strategy) -> None:
    many = [person("a" * count, square(2, 4, 6, 8, 10)) for count in range(1, 401)]  # each name length is a seed of its own
    assert numbers(play(small_run(strategy, many, START), many).weights) == pytest.approx([1, 2, 3, 4, 5], rel=0.1)


@pytest.mark.parametrize("bits", range(1, 9))
def test_packed_levels_come_back(bits: int) -> None:
    levels = (np.arange(21) * 37 % 2**bits).astype(np.uint8)
    packed = _pack(levels, bits)
    assert len(packed) == -(-21 * bits // 8)
    assert _unpack(packed, bits, 21).tolist() == levels.tolist()


@pytest.mark.parametrize(
    ("strategy", "bytes_up"),
    # 8 bytes of seed, 4 of the number that is not encoded, and the code
    [(top_k(keep=0.25), 12 + 4 + 4), (random_mask(keep=0.5), 12 + 2 * 4), (quantised(bits=2), 12 + 1 + 8)],
    ids=["top_k", "random_mask", "quantised"],
)
def test_a_client_tells_how_many_bytes_it_sent(strategy: Strategy, bytes_up: int) -> None:
    run = small_run(strategy, PEOPLE, START)
    play(run, PEOPLE)
    figures = run.record("rounds/0001/close.json")["clients"]["a"]
    assert (figures["bytes_up"], figures["bytes_plain"]) == (bytes_up, 5 * 4)
    (reply,) = replies(run).values()
    assert sum(value.nbytes for value in decode_tensors(reply, "the reply")[0].values()) == bytes_up


def test_whatever_is_wrapped_still_applies_the_update_its_own_way() -> None:
    run = small_run(top_k(keep=1.0, around=fed_avgm(momentum=0.5)), PEOPLE, START)
    bare = small_run(fed_avgm(momentum=0.5), PEOPLE, START)
    for round in (1, 2):
        assert numbers(play(run, PEOPLE, round).weights) == numbers(play(bare, PEOPLE, round).weights)


def test_a_place_beyond_the_end_does_not_stop_the_server() -> None:
    strategy = top_k(keep=0.25)
    run = small_run(strategy, PEOPLE, START)
    state = run.state(1)
    (exchange,) = strategy.exchanges
    update, _ = exchange.at_worker(PEOPLE[0], state, {}, {})
    update.move["w:places"][:] = 4_000_000_000
    after = strategy.apply(state, ModelUpdate("list", ("a",), moves={"a": update.move}, weights={"a": 1.0}))
    assert numbers(after.weights) == [0, 0, 0, 4, 5]


def test_shares_bits_and_strategies_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match=r"keep is 0; it is above 0 and at most 1"):
        top_k(keep=0)
    with pytest.raises(ValueError, match=r"keep is 1.5; it is above 0 and at most 1"):
        random_mask(keep=1.5)
    with pytest.raises(ValueError, match=r"bits is 9; a number takes 1 to 8"):
        quantised(bits=9)
    with pytest.raises(ValueError, match=r"name one that does, such as fed_avg"):
        quantised(around=median())
    assert quantised(around=fed_avg()).exchanges[0].form == "list"
