"""Records and tensors as bytes: equal content is equal bytes, damage is named."""

import json

import numpy as np
import pytest

from fl_core.codec import decode_record, decode_state, decode_tensors, digest_weights, encode_record, encode_state, encode_tensors
from fl_core.errors import InputError
from fl_core.types import RoundState

TENSORS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array(7, np.int64)}


def test_tensors_come_back_with_their_record() -> None:
    tensors, record = decode_tensors(encode_tensors(TENSORS, {"round": 3, "worker": "ä"}), "x")
    assert record == {"format": 1, "round": 3, "worker": "ä"}
    assert {name: value.tolist() for name, value in tensors.items()} == {"a": 7, "b": [[0, 1, 2], [3, 4, 5]]}
    assert tensors["a"].shape == ()


def test_equal_content_is_equal_bytes_whatever_the_order() -> None:
    one = encode_tensors(TENSORS, {"x": 1, "y": 2})
    two = encode_tensors(dict(reversed(TENSORS.items())), {"y": 2, "x": 1})
    assert one == two


@pytest.mark.parametrize(
    "damage", [lambda d: b"", lambda d: d[:4], lambda d: d[:40], lambda d: d[:-1], lambda d: b"\xff" * 8 + d[8:], lambda d: d[:8] + b"x" + d[9:]]
)
def test_a_damaged_file_is_an_error_that_names_it(damage) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=r"the reply"):
        decode_tensors(damage(encode_tensors(TENSORS, {})), "the reply")


def header(text: str) -> bytes:
    return len(text).to_bytes(8, "little") + text.encode()


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (header(f'{{"a":{DEEP}}}'), "maximum recursion depth"),
        (header(json.dumps({"__metadata__": {"record": f'{{"format":1,"a":{DEEP}}}'}})), "maximum recursion depth"),
        (header(json.dumps({"__metadata__": {"record": '{"format":1}'}, "\ud800": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}})), "surrogates"),
        (header("{}" + " " * (1 << 24)), "its header has 16777218 bytes; at most 16777216 are read"),
    ],
)
def test_what_a_hostile_writer_sends_is_an_error_and_no_accident(data: bytes, why: str) -> None:
    with pytest.raises(InputError, match=rf"the reply .*{why}"):
        decode_tensors(data, "the reply")


def test_another_format_version_is_refused() -> None:
    data = encode_record({"round": 1}).replace(b'"format":1', b'"format":2')
    with pytest.raises(InputError, match=r"the plan has format 2; this version reads format 1\."):
        decode_record(data, "the plan")


def test_a_state_comes_back_with_weights_and_memory() -> None:
    state = RoundState(4, {"w": np.ones(2, np.float32)}, {"m.w": np.zeros(2)})
    back = decode_state(encode_state(state), "state")
    assert (back.round, back.weights["w"].tolist(), back.memory["m.w"].tolist()) == (4, [1, 1], [0, 0])


def test_the_digest_depends_on_name_dtype_shape_and_bytes_and_not_on_order() -> None:
    base = digest_weights({"a": np.zeros(4, np.float32), "b": np.ones(1, np.float32)})
    assert base == digest_weights({"b": np.ones(1, np.float32), "a": np.zeros(4, np.float32)})
    others = [
        {"a": np.zeros((2, 2), np.float32), "b": np.ones(1, np.float32)},
        {"a": np.zeros(2, np.float64), "b": np.ones(1, np.float32)},
        {"c": np.zeros(4, np.float32), "b": np.ones(1, np.float32)},
        {"a": np.zeros(4, np.float32), "b": np.full(1, 2, np.float32)},
    ]
    assert len({base, *map(digest_weights, others)}) == 5
