import paddle
import pytest

from fl_core import paddle_private
from fl_core.paddle_private import LEGACY_LINEAR, quick_flags


def test_quick_flags_answer_the_one_flag_as_before_and_pass_on_the_others() -> None:
    ordinary, wanted = paddle.get_flags, paddle.get_flags(LEGACY_LINEAR)
    with quick_flags():
        assert paddle.get_flags is not ordinary
        assert paddle.get_flags(LEGACY_LINEAR) == wanted
        assert paddle.get_flags("FLAGS_check_nan_inf") == ordinary("FLAGS_check_nan_inf")
    assert paddle.get_flags is ordinary


def test_quick_flags_are_taken_back_after_an_error() -> None:
    ordinary = paddle.get_flags
    with pytest.raises(ZeroDivisionError), quick_flags():
        raise ZeroDivisionError
    assert paddle.get_flags is ordinary


def test_another_paddle_keeps_its_own_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paddle_private, "TESTED_VERSIONS", frozenset[str]())
    ordinary = paddle.get_flags
    with quick_flags():
        assert paddle.get_flags is ordinary


def test_a_linear_layer_gives_the_same_bits_with_quick_flags() -> None:
    layer, x = paddle.nn.Linear(3, 2), paddle.ones([4, 3])
    plain = layer(x).numpy()
    with quick_flags():
        assert (layer(x).numpy() == plain).all()
