import paddle
import pytest
from paddle.nn import functional as F

from fl_core import paddle_private
from fl_core.paddle_private import quick_calls

SCORES, CLASSES = [[0.1, 2.0, -1.0], [3.0, 0.5, 0.25]], [2, 0]


def test_quick_calls_are_taken_back_after_an_error() -> None:
    ordinary = F.linear, F.cross_entropy
    with pytest.raises(ZeroDivisionError), quick_calls():
        raise ZeroDivisionError
    assert (F.linear, F.cross_entropy) == ordinary


def test_another_paddle_keeps_its_own_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paddle_private, "TESTED_VERSIONS", frozenset[str]())
    ordinary = F.linear, F.cross_entropy
    with quick_calls():
        assert (F.linear, F.cross_entropy) == ordinary


@pytest.mark.parametrize("bias", [None, False])
def test_a_linear_layer_gives_the_same_bits_with_quick_calls(bias: bool | None) -> None:
    layer, x = paddle.nn.Linear(3, 2, bias_attr=bias), paddle.ones([4, 3])
    plain, ordinary = layer(x).numpy(), F.linear
    with quick_calls():
        assert F.linear is not ordinary
        assert (layer(x).numpy() == plain).all()


def entropy_and_gradient(**options: object) -> bytes:
    scores = paddle.to_tensor(SCORES, stop_gradient=False)
    loss = F.cross_entropy(scores, paddle.to_tensor(options.pop("label", CLASSES)), **options)
    loss.sum().backward()
    return bytes(loss.numpy().tobytes() + scores.grad.numpy().tobytes())


@pytest.mark.parametrize(
    "options",
    [
        {}, {"label": [[2], [0]]}, {"label": [-100, 0]}, {"ignore_index": 0}, {"reduction": "sum"}, {"label_smoothing": 0.1},
        {"weight": paddle.to_tensor([1.0, 2.0, 3.0])},
        {"label": [[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]], "soft_label": True},
    ],
    ids=lambda options: "-".join(options) or "plain",
)  # fmt: skip
def test_cross_entropy_gives_the_same_bits_with_quick_calls(options: dict[str, object]) -> None:
    plain = entropy_and_gradient(**options)
    ordinary = F.cross_entropy
    with quick_calls():
        assert F.cross_entropy is not ordinary
        assert entropy_and_gradient(**options) == plain


def test_cross_entropy_takes_its_arguments_by_name_with_quick_calls() -> None:
    scores, classes = paddle.to_tensor(SCORES), paddle.to_tensor(CLASSES)
    plain = F.cross_entropy(scores, classes).numpy()
    with quick_calls():
        assert F.cross_entropy(input=scores, label=classes).numpy() == plain
        assert F.cross_entropy(scores, target=classes).numpy() == plain


def test_cross_entropy_refuses_the_same_with_quick_calls() -> None:
    with quick_calls(), pytest.raises(ValueError, match="dim"):
        F.cross_entropy(paddle.ones([2, 3]), paddle.ones([2, 1, 1], "int64"))
