"""Every ready-made program: its shapes, its size, and that all of its parameters learn."""

import re
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
import yaml
from paddle.nn import functional as F

from fl_core.errors import InputError
from fl_core.job import parse_job
from fl_core.program import Program, load_program
from fl_core.reference import built_in, resolve

# Paddle says so at every training step with batch normalisation.
pytestmark = pytest.mark.filterwarnings("ignore:When training, we now always track global mean and variance")

IMAGES = (4, 64)
WORDS = {"gru", "lstm", "bag_of_words"}
CASES = [
    ("digits", {}, IMAGES, 64 * 10 + 10),
    ("logistic", {"features": 3}, (4, 3), 3 * 2 + 2),
    ("mlp", {"features": 4, "classes": 3, "hidden": [5]}, (4, 2, 2), 4 * 5 + 5 + 5 * 3 + 3),
    ("cnn", {"classes": 10, "dense": 512}, (4, 784), 1_663_370),
    ("cnn_small", {}, IMAGES, (9 * 8 + 8) + (8 + 8) + (8 * 16 * 10 + 10)),
    ("gru", {"vocabulary": 7, "classes": 2, "embedding": 3, "hidden": 4}, (4, 5), 7 * 3 + 3 * (3 * 4 + 4 * 4 + 2 * 4) + 4 * 2 + 2),
    ("lstm", {"vocabulary": 7, "classes": 2, "embedding": 3, "hidden": 4, "dense": 5}, (4, 5), 7 * 3 + 4 * (4 * 3 + 4 * 4 + 4 * 2) + 4 * 4 * (8 + 2) + 25 + 12),
    ("bag_of_words", {"vocabulary": 6}, (4, 5), 7 * 2 + 2),
    ("deep_fm", {"counts": 2, "categories": 3, "buckets": 9, "embedding": 4, "hidden": [5]}, (4, 5), 9 * 5 + 2 + 1 + (2 + 3 * 4) * 5 + 5 + 5 + 1),
    ("linear", {"features": 3}, (4, 3), 4),
]


def load(name: str, options: dict[str, Any]) -> Program:
    return load_program(parse_job(f"{{format: 1, name: test, program: { ({'name': name} | options)!r}, rounds: 1, data: {{name: digits}}}}", code={}))


@pytest.mark.parametrize(("name", "options", "shape", "size"), CASES, ids=[name for name, *_ in CASES])
def test_a_step_reaches_every_parameter(name: str, options: dict[str, Any], shape: tuple[int, ...], size: int) -> None:
    paddle.seed(1)
    random = np.random.default_rng(1)
    program = load(name, options)
    net = program.model()
    x = random.integers(0, 7, shape) if name in WORDS else random.normal(size=shape).astype(np.float32)
    y = np.array([0.5, 1, 2, 3], np.float32) if name == "linear" else np.array([0, 1, 0, 1])
    batch = (paddle.to_tensor(x), paddle.to_tensor(y))

    program.loss(net, batch).backward()
    assert program.metrics is not None
    net.eval()
    measured = program.metrics(net, batch)

    learnt = [parameter for parameter in net.parameters() if not parameter.stop_gradient]
    assert sum(int(parameter.size) for parameter in learnt) == size
    assert all(parameter.grad is not None for parameter in learnt)
    assert float(measured["loss"]) == pytest.approx(float(program.loss(net, batch)))
    assert all(program.direction(metric) in ("higher", "lower") for metric in measured)


def test_every_program_is_tried_here() -> None:
    assert {name for name, *_ in CASES} | {"gru4rec"} == set(built_in("program")), "gru4rec has a file of its own"


def test_accuracy_is_the_share_of_right_examples() -> None:
    program = load("logistic", {"features": 2})
    assert program.metrics is not None
    batch = (paddle.to_tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 4.0]]), paddle.to_tensor([0, 1, 1, 1]))
    assert float(program.metrics(lambda x: x, batch)["accuracy"]) == 0.75


def test_the_errors_of_a_regression_are_means() -> None:
    program = load("linear", {"features": 1})
    assert program.metrics is not None
    measured = program.metrics(lambda x: x, (paddle.to_tensor([[1.0], [2.0]]), paddle.to_tensor([1.0, 4.0])))
    assert (float(measured["loss"]), float(measured["mae"])) == (2.0, 1.0)


def test_dropout_is_random_and_batch_statistics_are_not_learnt() -> None:
    net = load("cnn_small", {"dropout": 0.5}).model()
    x = paddle.ones([4, 64])
    assert [name for name, parameter in net.named_parameters() if parameter.stop_gradient] == ["normalisation._mean", "normalisation._variance"]
    assert not np.array_equal(net(x).numpy(), net(x).numpy())
    net.eval()
    assert np.array_equal(net(x).numpy(), net(x).numpy())


def test_the_convolutional_network_is_what_its_plain_layers_are() -> None:
    paddle.seed(1)
    net: Any = load("cnn", {"classes": 10, "image_size": 8, "dense": 5}).model()
    for bias in (net.first.bias, net.second.bias):
        bias.set_value(paddle.randn(bias.shape))
    images = paddle.randn([4, 1, 8, 8])

    def plain() -> Any:
        x = F.max_pool2d(F.relu(net.first(images)), 2)
        x = F.max_pool2d(F.relu(net.second(x)), 2)
        return net.logits(F.relu(net.dense(x.flatten(1))))

    def gradients(logits: Any) -> list[np.ndarray]:
        (logits * logits).sum().backward()
        found = [parameter.grad.numpy() for parameter in net.parameters()]
        net.clear_gradients()
        return found

    assert np.array_equal(net(images).numpy(), plain().numpy())
    for found, wanted in zip(gradients(net(images)), gradients(plain()), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"features": 4, "classes": 1}, "program.classes is 1; it is at least 2."),
        ({"classes": 2}, "program.features is missing; 'mlp' needs it."),
        ({"features": 4, "classes": 2, "hiden": [3]}, "program.hiden is not an option of 'mlp'; did you mean 'hidden'?"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        load("mlp", options)
    assert str(caught.value) == sentence


def test_the_page_lists_every_program_with_its_options() -> None:
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|", (Path(__file__).parents[3] / "docs/job.md").read_text().split("## Ready-made programs")[1], re.MULTILINE)
    assert sorted(name for name, _ in rows) == built_in("program")
    for name, told in rows:
        builder = resolve("program", name, {})
        parameters = {} if isinstance(builder, Program) else signature(builder).parameters
        options = {word: None if one.default in (one.empty, None) else one.default for word, one in parameters.items()}
        listed = yaml.safe_load("{" + ", ".join(re.findall("`([^`]*)`", told)) + "}")
        assert {word: tuple(value) if isinstance(value, list) else value for word, value in listed.items()} == options, name
