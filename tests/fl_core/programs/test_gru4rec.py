"""Gru4Rec: the state between and within sessions, lanes, losses, ranks, and that it learns what there is to learn."""

from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from fl_core import load_job, run
from fl_core.datasets.generated_sessions import World, best_recall, generated_sessions, make_world
from fl_core.errors import InputError
from fl_core.learning import Learner
from fl_core.pool import Pool
from fl_core.program import Program
from fl_core.programs import gru4rec
from fl_core.programs._gru4rec import SessionNetwork
from fl_core.programs._lanes import drawn_with, session_batches
from fl_core.section import Optimizer
from fl_core.types import Examples, LocalWork

EXAMPLE = Path(__file__).parents[3] / "examples" / "gru4rec.yaml"
LONG_FIRST = Examples(np.array([[1, 2, 3], [4, 5, 0], [6, 0, 0], [7, 0, 0]]), np.array([[2, 3, 9], [5, 9, 0], [9, 0, 0], [8, 0, 0]]))


def network(items: int = 9, hidden: int = 4, tied: bool = True) -> SessionNetwork:
    paddle.seed(3)
    net = SessionNetwork(items, hidden, dropout=0.0, tied=tied)
    for parameter in net.parameters():
        parameter.set_value(0.7 * paddle.randn(parameter.shape))
    return net


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def states_by_hand(net: SessionNetwork, session: list[int]) -> np.ndarray:
    """The GRU in plain numpy, one item after the other."""
    embedding, of_item, of_state, bias, candidate_bias = (
        weight.numpy() for weight in (net.embedding, net.gates_of_item, net.gates_of_state, net.gates_bias, net.candidate_bias)
    )
    size, state, states = net.hidden, np.zeros(net.hidden), []
    for item in session:
        a, b = of_item @ embedding[item - 1], of_state @ state
        reset, update = sigmoid(a[:size] + b[:size] + bias[:size]), sigmoid(a[size : 2 * size] + b[size : 2 * size] + bias[size:])
        candidate = np.tanh(a[2 * size :] + reset * (b[2 * size :] + candidate_bias))
        state = update * state + (1 - update) * candidate
        states.append(state)
    return np.array(states)


def test_a_session_is_read_by_a_gru_and_a_zero_starts_anew() -> None:
    net = network()
    lane = net(paddle.to_tensor([[1, 2, 3, 0, 4, 5]])).numpy()[0]
    assert lane[:3] == pytest.approx(states_by_hand(net, [1, 2, 3]), abs=1e-6)
    assert lane[3] == pytest.approx(np.zeros(4), abs=1e-12)
    assert lane[4:] == pytest.approx(states_by_hand(net, [4, 5]), abs=1e-6)


@pytest.mark.parametrize("options", [{}, {"negatives": 50}, {"loss": "top1"}, {"loss": "bpr", "negatives": 3}, {"tied": False}])
def test_lanes_give_the_gradient_of_sessions_row_by_row(options: dict[str, Any]) -> None:
    program = gru4rec.program(items=9, hidden=4, dropout=0.0, **options)
    net = network(tied=options.get("tied", True))
    found = []
    for x, y in [(LONG_FIRST.x, LONG_FIRST.y), next(session_batches(LONG_FIRST, LocalWork(batch_size=4, shuffle=False), np.random.default_rng(0), 100))]:
        paddle.seed(1)
        net.clear_gradients()
        program.loss(net, (paddle.to_tensor(x), paddle.to_tensor(y))).backward()
        found.append({name: parameter.grad.numpy() for name, parameter in net.named_parameters()})
    assert {name for name, gradient in found[0].items() if gradient.any()} == set(found[0])
    for name, gradient in found[0].items():
        assert found[1][name] == pytest.approx(gradient, abs=2e-6), name


def test_short_sessions_fill_the_gaps_behind_long_ones() -> None:
    x, y = next(session_batches(LONG_FIRST, LocalWork(batch_size=4, shuffle=False), np.random.default_rng(0), positions_max=100))
    assert x.tolist() == [[1, 2, 3, 0], [4, 5, 0, 0], [6, 0, 7, 0]]
    assert y.tolist() == [[2, 3, 9, 0], [5, 9, 0, 0], [9, 0, 8, 0]]


@pytest.mark.parametrize(("work", "positions_max", "sizes"), [
    (LocalWork(batch_size=3), 100, [3, 1]),
    (LocalWork(batch_size=3, epochs=2), 100, [3, 1, 3, 1]),
    (LocalWork(batch_size=3, steps=3), 100, [3, 1, 3]),
    (LocalWork(batch_size=4, shuffle=False), 5, [2, 2]),
    (LocalWork(batch_size=4, shuffle=False), 1, [1, 1, 1, 1]),
])  # fmt: skip
def test_batches_hold_so_many_sessions_and_no_more_scores_than_fit(work: LocalWork, positions_max: int, sizes: list[int]) -> None:
    batches = list(session_batches(LONG_FIRST, work, np.random.default_rng(0), positions_max))
    firsts = {1, 4, 6, 7}
    assert [sum(int(item) in firsts for item in x.flatten()) for x, _ in batches] == sizes


def table(scores: list[list[float]]) -> Any:
    """A network that scores by a table: the state is the item's number as one of many."""
    weights = paddle.to_tensor(np.array(scores, np.float32))
    net = network(items=weights.shape[1], hidden=weights.shape[0])
    net.forward = lambda x: paddle.nn.functional.one_hot(x.clip(0), weights.shape[0])
    net.embedding.set_value(weights.T)
    net.bias.set_value(paddle.zeros(net.bias.shape))
    return net


def test_recall_and_mrr_are_means_over_all_steps_and_ties_count_against_the_model() -> None:
    scores = np.zeros((3, 30), np.float32)
    scores[1, [4, 5, 6]] = [3, 2, 1]
    batch = (paddle.to_tensor([[1, 1, 1], [1, 2, 0]]), paddle.to_tensor([[5, 7, 8], [6, 1, 0]]))
    found = gru4rec.metrics(table(scores.tolist()), batch)
    # Ranks 1, 3, 30 (all that is left is equal), 2, and 30.
    assert float(found["recall_at_20"]) == pytest.approx(3 / 5)
    assert float(found["mrr_at_20"]) == pytest.approx((1 + 1 / 3 + 1 / 2) / 5)


def test_top1_and_bpr_compare_with_the_batch_s_other_items() -> None:
    net = table([[0, 0, 0], [2, 1, 0], [0, 0, 0]])
    batch = (paddle.to_tensor([[1], [1]]), paddle.to_tensor([[1], [2]]))
    # One step wants the first item (2, the other 1), one the second (1, the other 2).
    top1 = np.mean([sigmoid(np.array(-1)) + sigmoid(np.array(1)), sigmoid(np.array(1)) + sigmoid(np.array(4))])
    bpr = -np.mean([np.log(sigmoid(np.array(1))), np.log(sigmoid(np.array(-1)))])
    assert float(gru4rec.pairwise(net, batch, 0, gru4rec.top1)) == pytest.approx(top1, abs=1e-6)
    assert float(gru4rec.pairwise(net, batch, 0, gru4rec.bpr)) == pytest.approx(bpr, abs=1e-6)


def test_sampled_softmax_comes_near_the_whole() -> None:
    net = network(items=200)
    batch = (paddle.to_tensor([[1, 2, 3]]), paddle.to_tensor([[2, 3, 4]]))
    sampled = [float(gru4rec.cross_entropy(net, batch, 199)) for _ in range(50)]
    assert np.mean(sampled) == pytest.approx(float(gru4rec.cross_entropy(net, batch)), abs=0.1)


def test_wanted_items_stand_for_themselves_and_drawn_ones_for_all_the_others() -> None:
    # 10 items, 3 and 7 wanted: the 8 others are stood for by the three draws of 1, 1 and 2; that 7 was drawn does not matter.
    candidates, raised, places = gru4rec.draw_candidates(np.array([3, 7, 3]), 10, np.array([1, 7, 1, 2]))
    assert candidates.tolist() == [3, 7, 1, 1, 2]
    assert raised == pytest.approx([0, 0, *[np.log(8 / 3)] * 3])
    assert places.tolist() == [0, 1, 0]
    candidates, raised, _ = gru4rec.draw_candidates(np.array([3]), 10, np.array([3, 3]))
    assert (candidates.tolist(), raised.tolist()) == ([3], [0])


def test_a_client_draws_from_its_own_items_alone() -> None:
    program = gru4rec.program(items=30, hidden=4, dropout=0.0, negatives=5)
    assert program.batches is not None
    for x, y in program.batches(LONG_FIRST, LocalWork(batch_size=2), np.random.default_rng(0)):
        drawn, known = drawn_with((paddle.to_tensor(x), paddle.to_tensor(y)), 30, 5)
        assert (len(drawn), known) == (5, 9)
        assert set(drawn.tolist()) <= set(range(9))
        assert program.cases(y) == np.count_nonzero(y[: len(x)])
        net = network(items=30)
        program.loss(net, (paddle.to_tensor(x), paddle.to_tensor(y))).backward()
        assert not net.bias.grad.numpy()[9:].any()
        assert not net.embedding.grad.numpy()[9:].any()


def test_a_client_with_no_more_items_than_are_drawn_scores_all_of_them_once() -> None:
    own = Examples(np.array([[2, 5]]), np.array([[5, 7]]))
    sampled, whole = gru4rec.program(items=7, hidden=4, dropout=0.0, negatives=3), gru4rec.program(items=3, hidden=4, dropout=0.0)
    assert sampled.batches is not None
    net, small = network(items=7), network(items=3)
    for name, parameter in small.named_parameters():
        found = dict(net.named_parameters())[name]
        parameter.set_value(paddle.gather(found, paddle.to_tensor([1, 4, 6])) if found.shape[0] == 7 else found)
    (batch,) = sampled.batches(own, LocalWork(batch_size=1), np.random.default_rng(0))
    by_hand = whole.loss(small, (paddle.to_tensor([[1, 2]]), paddle.to_tensor([[2, 3]])))
    assert float(sampled.loss(net, tuple(map(paddle.to_tensor, batch)))) == pytest.approx(float(by_hand), abs=1e-6)


def learner(program: Program) -> Learner:
    return Learner(program, Optimizer(), seed=1)


def test_items_beyond_the_model_are_refused_in_one_sentence() -> None:
    small = learner(gru4rec.program(items=8, hidden=4))
    with pytest.raises(InputError, match=r"^program.items is 8, but the sessions hold item 9; set program.items to at least 9.$"):
        small.rehearse(LONG_FIRST)
    with pytest.raises(InputError, match=r"^program.items is 8, but the test sessions hold item 9; set program.items to at least that.$"):
        small.evaluate(small.weights(), LONG_FIRST)
    with pytest.raises(InputError, match=r"^Gru4Rec reads items, but x is float32 of shape \(4,\); take the loader 'sessions'.$"):
        small.rehearse(Examples(np.zeros((2, 4), np.float32), np.array([0, 1])))


@pytest.mark.parametrize("options", [{}, {"negatives": 30}, {"loss": "top1"}, {"loss": "bpr"}])
def test_every_loss_learns_the_generated_tastes(options: dict[str, Any]) -> None:
    data = generated_sessions(sessions=600, items=60, taste_size=10)
    assert data.test is not None
    trained = learner(gru4rec.program(items=60, hidden=16, dropout=0.0, learning_rate=0.02, **options))
    start = trained.weights()
    fitted, _ = trained.fit(start, data.train, LocalWork(epochs=8, batch_size=40), seed=1)
    found = trained.evaluate({name: start[name] + move for name, move in fitted.move.items()}, data.test)
    assert found.examples == np.count_nonzero(data.test.y)
    best = best_recall(make_world(60, 10, 1, 0), data.test.x)
    # Of 60 items any 20 hold a third; the best possible is .68.
    assert 0.5 < found.sums["recall_at_20"] / found.examples < best + 0.02


def test_the_example_counts_its_examples_and_metrics_in_steps(tmp_path: Path, pool: Pool) -> None:
    job = load_job(EXAMPLE, ["rounds=2", "data.sessions=100", "data.items=40", "program.items=40", "program.hidden=8", "strategy.local_epochs=1"])
    steps = np.count_nonzero(generated_sessions(sessions=100, items=40).train.y)
    result = run(job, out=tmp_path / "run", pool=pool)
    assert result.summary["examples"] == 2 * steps
    assert not result.summary["failures"]
    # Nothing is learnt yet: of 40 items any 20 hold about half.
    assert 0.3 < result.metrics["recall_at_20"] < 0.8
    assert 0 < result.metrics["mrr_at_20"] < result.metrics["recall_at_20"]


def test_the_best_possible_recall_is_what_bayes_rule_says() -> None:
    world = World(favourites=np.array([[0, 1], [2, 3]]), tastes=np.array([[0], [0], [1], [1]]), common=np.array([0.5, 0.5]))
    # LOYAL is .6: an item of a taste has chance .3 + .1 within it and .1 without. After one item its taste is believed .8, after two of one taste 16/17.
    assert best_recall(world, np.array([[1, 0]]), k=1) == pytest.approx(0.8 * 0.3 + 0.1)
    assert best_recall(world, np.array([[1, 2]]), k=1) == pytest.approx(((0.8 * 0.3 + 0.1) + (16 / 17 * 0.3 + 0.1)) / 2)
    assert best_recall(world, np.array([[1, 2]]), k=4) == pytest.approx(1)


def test_generated_sessions_follow_their_rules_and_their_seed() -> None:
    one, same, other = (generated_sessions(sessions=400, items=40, seed=seed) for seed in (1, 1, 2))
    assert (one.train.x == same.train.x).all()
    assert one.train.x.shape != other.train.x.shape or (one.train.x != other.train.x).any()
    lengths = one.columns["length"]
    assert lengths.min() == 2
    assert lengths.mean() == pytest.approx(6, abs=0.5)
    assert one.train.x.max() == 40
    with pytest.raises(InputError, match=r"data.taste_size is 30, which does not divide the 100 items; take one that does."):
        generated_sessions(items=100, taste_size=30)
