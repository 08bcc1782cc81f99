"""Local training: the same bits for the same arguments, exact step counts, corrections by hand, and a fast path equal to the plain Paddle loop."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import paddle
import pytest

from fl_core import paddle_private
from fl_core.errors import InputError
from fl_core.learning import Learner, save_weights
from fl_core.program import Program
from fl_core.programs import cnn, cnn_small, gru, linear, logistic, mlp
from fl_core.section import Optimizer
from fl_core.types import Correction, Examples, LocalWork, Weights

SGD = Optimizer(name="SGD", learning_rate=0.1)
IMAGES = Examples(np.random.default_rng(1).random((23, 64), np.float32), np.random.default_rng(2).integers(0, 10, 23))
WORDS = Examples(np.random.default_rng(3).integers(0, 30, (23, 6)), np.random.default_rng(4).integers(0, 30, 23))
ONE_POINT = Examples(np.array([[2.0]], np.float32), np.array([1.0], np.float32))
PROGRAMS: Mapping[str, tuple[Program, Examples]] = {
    "2nn": (mlp.program(features=64, classes=10, hidden=(20, 20)), IMAGES),
    "cnn": (cnn.program(classes=10, image_size=8, dense=32), IMAGES),
    "gru": (gru.program(vocabulary=30, classes=30, embedding=8, hidden=12), WORDS),
    "batch statistics and dropout": (cnn_small.program(), IMAGES),
}


def learner(program: Program = PROGRAMS["2nn"][0], optimizer: Optimizer = SGD) -> Learner:
    return Learner(program, optimizer, seed=3)


def same(left: Weights, right: Weights) -> bool:
    return left.keys() == right.keys() and all(left[name].tobytes() == right[name].tobytes() for name in left)


def plain_loop(program: Program, examples: Examples, work: LocalWork, seed: int, learning_rate: float) -> Weights:
    """What a user would write: a model, paddle.optimizer.SGD, shuffled slices. Gives the weights after."""
    paddle.seed(3)
    net = program.model()
    paddle.seed(seed)
    net.train()
    optimizer = paddle.optimizer.SGD(learning_rate, parameters=net.parameters())
    random = np.random.Generator(np.random.PCG64(seed))
    for _ in range(work.epochs):
        rows = random.permutation(len(examples))
        for start in range(0, len(rows), work.batch_size):
            batch = rows[start : start + work.batch_size]
            loss = program.loss(net, (paddle.to_tensor(examples.x[batch]), paddle.to_tensor(examples.y[batch])))
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
    return {name: value.numpy() for name, value in net.state_dict().items()}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_fast_path_ends_in_the_bits_of_the_plain_paddle_loop(name: str) -> None:
    program, examples = PROGRAMS[name]
    one, work = learner(program), LocalWork(epochs=2, batch_size=5)
    trained, _ = one.fit(one.weights(), examples, work, seed=9)
    plain = plain_loop(program, examples, work, seed=9, learning_rate=0.1)
    assert same(one.weights(), {name: plain[name] for name in one.weights()})
    assert trained.steps == 10


@pytest.mark.parametrize("name", PROGRAMS)
def test_without_private_paddle_the_bits_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program, examples = PROGRAMS[name]
    moves = []
    for versions in (paddle_private.TESTED_VERSIONS, frozenset[str]()):
        monkeypatch.setattr(paddle_private, "TESTED_VERSIONS", versions)
        one = learner(program)
        moves.append(one.fit(one.weights(), examples, LocalWork(epochs=2, batch_size=5), seed=9)[0].move)
    assert same(*moves)


def test_the_private_step_is_taken_by_this_version_of_paddle() -> None:
    parameter = paddle.nn.Linear(2, 2).weight
    assert paddle_private.sgd_step(paddle.optimizer.SGD(0.1, parameters=[parameter]), [parameter]) is not None


@pytest.mark.parametrize(
    "options",
    [
        {"weight_decay": 0.1},
        {"grad_clip": paddle.nn.ClipGradByGlobalNorm(0.1)},
        {"learning_rate": paddle.optimizer.lr.ExponentialDecay(0.1, 0.9)},
    ],
    ids=lambda options: next(iter(options)),
)
def test_an_sgd_that_does_more_than_sgd_takes_the_public_step(options: dict[str, object]) -> None:
    parameter = paddle.nn.Linear(2, 2).weight
    assert paddle_private.sgd_step(paddle.optimizer.SGD(**{"learning_rate": 0.1, **options}, parameters=[parameter]), [parameter]) is None


def test_a_functional_program_ends_in_the_bits_of_its_layers() -> None:
    program, examples = PROGRAMS["2nn"]
    assert program.functional is not None
    moves = [learner(p).fit(learner(p).weights(), examples, LocalWork(batch_size=5), seed=9)[0].move for p in (program, replace(program, functional=None))]
    assert same(*moves)


def test_a_functional_loss_that_differs_from_the_loss_is_refused() -> None:
    program = replace(PROGRAMS["2nn"][0], functional=lambda weights, batch: weights["layers.0.bias"].sum())
    with pytest.raises(InputError, match=r"functional.*differs from its loss"):
        learner(program).rehearse(IMAGES)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_arguments_give_the_same_bits_whatever_was_trained_before(name: str) -> None:
    program, examples = PROGRAMS[name]
    one = learner(program)
    start, work = one.weights(), LocalWork(batch_size=5)
    first = one.fit(start, examples, work, seed=9)[0]
    one.fit({n: value + 1 for n, value in start.items()}, examples.take(slice(0, 7)), work, seed=10)
    again = one.fit(start, examples, work, seed=9)[0]
    assert same(first.move, again.move)
    assert first.metrics == again.metrics
    assert not same(first.move, one.fit(start, examples, work, seed=11)[0].move)


@pytest.mark.parametrize("optimizer", [SGD, Optimizer(name="Adam", learning_rate=0.1)], ids=["SGD", "Adam"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_rehearsal_takes_a_step_of_which_nothing_is_left(name: str, optimizer: Optimizer) -> None:
    program, examples = PROGRAMS[name]
    rehearsed, fresh = learner(program, optimizer), learner(program, optimizer)
    rehearsed.rehearse(examples)
    assert same(rehearsed.weights(), fresh.weights())
    moves = [one.fit(fresh.weights(), examples, LocalWork(batch_size=10), seed=5)[0].move for one in (rehearsed, fresh)]
    assert same(*moves)


def test_a_rehearsal_of_a_program_with_batches_of_its_own_finds_an_optimizer_that_takes_no_step() -> None:
    def batches(examples: Examples, work: LocalWork, random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield examples.x[:4], examples.y[:4]

    with pytest.raises(InputError, match=r"^A step by the optimizer 'Momentum' with {'momentum': 'x'} fails: TypeError: "):
        learner(replace(PROGRAMS["2nn"][0], batches=batches), Optimizer(name="Momentum", momentum="x")).rehearse(IMAGES)


def test_fitting_changes_neither_the_weights_it_was_given_nor_a_move_it_gave() -> None:
    one = learner()
    start = one.weights()
    kept = {name: value.copy() for name, value in start.items()}
    move = one.fit(start, IMAGES, LocalWork(), seed=1)[0].move
    moved = {name: value.copy() for name, value in move.items()}
    one.fit(start, IMAGES, LocalWork(), seed=2)
    assert same(start, kept)
    assert same(move, moved)


def test_batch_statistics_take_part_and_dropout_follows_the_seed() -> None:
    program, examples = PROGRAMS["batch statistics and dropout"]
    one = learner(program)
    start, work = one.weights(), LocalWork(batch_size=5, shuffle=False)
    first, second = (one.fit(start, examples, work, seed=seed)[0].move for seed in (1, 2))
    assert "normalisation._mean" not in one.trainable
    assert np.abs(first["normalisation._mean"]).max() > 0
    assert not same(first, second), "without shuffling only dropout can tell two seeds apart"


@pytest.mark.parametrize(
    ("work", "steps", "seen"),
    [
        (LocalWork(epochs=1, batch_size=10), 3, 23),
        (LocalWork(epochs=3, batch_size=10), 9, 69),
        (LocalWork(steps=1, batch_size=10), 1, 10),
        (LocalWork(steps=3, batch_size=10), 3, 23),
        (LocalWork(steps=4, batch_size=10), 4, 33),
        (LocalWork(epochs=1, batch_size=100), 1, 23),
        (LocalWork(epochs=1, batch_size=1), 23, 23),
    ],
)
def test_epochs_and_steps_are_done_exactly_and_a_smaller_last_batch_counts(work: LocalWork, steps: int, seen: int) -> None:
    one = learner()
    trained = one.fit(one.weights(), IMAGES, work, seed=1)[0]
    assert (trained.steps, trained.metrics["seen"], trained.examples) == (steps, seen, 23)


def test_every_example_is_seen_once_an_epoch_also_over_many_batches() -> None:
    seen: list[float] = []

    def loss(net: paddle.nn.Layer, batch: tuple[paddle.Tensor, paddle.Tensor]) -> paddle.Tensor:
        seen.extend(batch[1].numpy().tolist())
        return linear.loss(net, batch)

    examples = Examples(np.ones((1000, 1), np.float32), np.arange(1000, dtype=np.float32))
    one = learner(Program(model=lambda: paddle.nn.Linear(1, 1), loss=loss), Optimizer(name="SGD", learning_rate=1e-9))
    one.fit(one.weights(), examples, LocalWork(epochs=1, batch_size=3), seed=1)
    assert sorted(seen) == list(range(1000))
    assert seen != list(range(1000))


@pytest.mark.parametrize("kind", ["read-only", "in another order", "not in one piece"])
def test_examples_whose_memory_cannot_be_shared_end_in_the_same_bits(kind: str) -> None:
    x = {"read-only": IMAGES.x.copy(), "in another order": np.asfortranarray(IMAGES.x), "not in one piece": np.repeat(IMAGES.x, 2, axis=0)[::2]}[kind]
    x.flags.writeable = kind != "read-only"
    one = learner()
    before = one.weights()
    moves = [one.fit(before, Examples(given, IMAGES.y), LocalWork(epochs=2, batch_size=10), seed=1)[0].move for given in (x, IMAGES.x)]
    assert same(moves[0], moves[1])
    assert np.any(moves[0]["layers.0.weight"])


def test_a_loss_that_changes_its_batch_leaves_the_data_as_they_were() -> None:
    def loss(net: paddle.nn.Layer, batch: tuple[paddle.Tensor, paddle.Tensor]) -> paddle.Tensor:
        batch[0].scale_(2.0)
        batch[1].zero_()
        return linear.loss(net, batch)

    examples = Examples(np.ones((23, 1), np.float32), np.ones(23, np.float32))
    one = learner(Program(model=lambda: paddle.nn.Linear(1, 1), loss=loss), Optimizer(name="SGD", learning_rate=1e-9))
    one.fit(one.weights(), examples, LocalWork(epochs=2, batch_size=10), seed=1)
    assert (examples.x == 1).all()
    assert (examples.y == 1).all()


def at(weight: float, bias: float) -> Weights:
    """The weights of a linear model of one feature."""
    return {"layers.0.weight": np.array([[weight]], np.float32), "layers.0.bias": np.array([bias], np.float32)}


def test_one_step_and_its_corrections_by_hand() -> None:
    """Prediction 2w + b = 3 at (w, b) = (1, 1), label 1: the gradients are 2 * (3 - 1) * (2, 1) = (8, 4); the learning rate is 0.5."""
    one = learner(linear.program(features=1), Optimizer(name="SGD", learning_rate=0.5))

    def move(correction: Correction | None) -> tuple[float, float]:
        found = one.fit(at(1, 1), ONE_POINT, LocalWork(), seed=1, correction=correction)[0].move
        return float(found["layers.0.weight"].item()), float(found["layers.0.bias"].item())

    assert move(None) == (-4.0, -2.0)
    assert move(Correction(pull=2.0, towards=at(3, 1))) == (-0.5 * (8 + 2 * (1 - 3)), -2.0)
    assert move(Correction(shift={"layers.0.bias": np.array([6.0], np.float32)})) == (-4.0, -0.5 * (4 + 6))
    assert move(Correction(pull=1.0, towards=at(0, 0), shift=at(-1, 1))) == (-0.5 * (8 + 1 - 1), -0.5 * (4 + 1 + 1))


def test_momentum_is_kept_where_the_job_asks_and_reset_where_it_does_not() -> None:
    """The second fit from the same place moves by gradient + 0.5 * the first velocity where the state is kept."""
    for state, second in (("keep", -0.1 * (8 + 0.5 * 8)), ("reset", -0.1 * 8)):
        one = learner(linear.program(features=1), Optimizer(name="Momentum", learning_rate=0.1, momentum=0.5, state=state))  # type: ignore[call-arg]
        _, left = one.fit(at(1, 1), ONE_POINT, LocalWork(), seed=1)
        assert bool(left) is (state == "keep")
        moved, _ = one.fit(at(1, 1), ONE_POINT, LocalWork(), seed=1, optimizer_state=left)
        assert moved.move["layers.0.weight"].item() == pytest.approx(second, rel=1e-6)


def test_a_frozen_weight_stays_and_is_not_trainable() -> None:
    def model() -> paddle.nn.Layer:
        net = paddle.nn.Linear(64, 10)
        net.bias.stop_gradient = True
        return net

    one = learner(Program(model=model, loss=PROGRAMS["2nn"][0].loss))
    assert one.trainable == {"weight"}
    assert not one.fit(one.weights(), IMAGES, LocalWork(), seed=1)[0].move["bias"].any()


def test_a_weight_that_the_loss_does_not_reach_stays() -> None:
    class Half(paddle.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = paddle.nn.Linear(64, 10), paddle.nn.Linear(2, 2)

        def forward(self, x: paddle.Tensor) -> paddle.Tensor:
            return self.used(x)

    one = learner(Program(model=Half, loss=PROGRAMS["2nn"][0].loss))
    move = one.fit(one.weights(), IMAGES, LocalWork(), seed=1)[0].move
    assert move["used.weight"].any()
    assert not move["unused.weight"].any()


def test_a_buffer_that_the_model_replaces_is_read_where_it_is_now() -> None:
    class Counting(paddle.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.dense = paddle.nn.Linear(64, 10)
            self.register_buffer("calls", paddle.zeros([1]))

        def forward(self, x: paddle.Tensor) -> paddle.Tensor:
            self.calls = self.calls + 1
            return self.dense(x)

    one = learner(Program(model=Counting, loss=PROGRAMS["2nn"][0].loss))
    start = one.weights()
    for _ in range(2):
        assert one.fit(start, IMAGES, LocalWork(batch_size=10), seed=1)[0].move["calls"].item() == 3


def test_weights_of_another_shape_are_refused() -> None:
    one = learner(linear.program(features=1))
    with pytest.raises(ValueError, match=r"layers\.0\.weight"):
        one.fit({**at(1, 1), "layers.0.weight": np.zeros((3, 1), np.float32)}, ONE_POINT, LocalWork(), seed=1)


def test_evaluation_weighs_batches_by_their_examples_and_leaves_batch_statistics_alone() -> None:
    program = linear.program(features=1)
    examples = Examples(np.zeros((515, 1), np.float32), np.array([0.0] * 512 + [3.0] * 3, np.float32))
    found = learner(program).evaluate(at(0, 0), examples)
    assert found.examples == 515
    assert found.sums["mae"] == 9.0
    normal, images = PROGRAMS["batch statistics and dropout"]
    one = learner(normal)
    start = one.weights()
    assert one.evaluate(start, images).sums == one.evaluate(start, images).sums
    assert same(one.weights(), start)


def test_the_loss_of_weights_is_the_mean_over_the_examples() -> None:
    examples = Examples(np.zeros((3, 1), np.float32), np.array([0.0, 0.0, 3.0], np.float32))
    assert learner(linear.program(features=1)).loss(at(0, 0), examples) == 3.0


def test_an_optimizer_that_paddle_lacks_or_that_deceives_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'SGD'"):
        learner(optimizer=Optimizer(name="SDG", learning_rate=0.1))  # type: ignore[call-arg]
    with pytest.raises(InputError, match="no differential privacy"):
        learner(optimizer=Optimizer(name="Dpsgd", learning_rate=0.1))  # type: ignore[call-arg]


def test_a_loss_that_is_no_scalar_is_refused_before_training() -> None:
    with pytest.raises(InputError, match="loss is 20 numbers"):
        learner(Program(model=lambda: paddle.nn.Linear(64, 10), loss=lambda net, batch: net(batch[0]))).rehearse(IMAGES)


def test_logistic_regression_learns() -> None:
    one = learner(logistic.program(features=64, classes=10))
    start = one.weights()
    trained = one.fit(start, IMAGES, LocalWork(epochs=30, batch_size=5), seed=1)[0]
    assert one.loss({name: start[name] + move for name, move in trained.move.items()}, IMAGES) < 0.5 * one.loss(start, IMAGES)


def test_a_tensor_with_several_names_is_sent_once_and_saved_under_all(tmp_path: Path) -> None:
    program = gru.program(vocabulary=3, classes=2, embedding=2, hidden=4)
    weights = learner(program).weights()

    assert sorted(weights) == sorted(
        ["embedding.weight", "logits.bias", "logits.weight", *(f"recurrent.{kind}_{gate}_l0" for kind in ("weight", "bias") for gate in ("ih", "hh"))]
    )
    save_weights(program, weights, str(tmp_path / "model.pdparams"))
    net = program.model()
    assert net.set_state_dict(paddle.load(str(tmp_path / "model.pdparams"))) == ([], [])
    assert all((net.state_dict()[name].numpy() == value).all() for name, value in weights.items())
