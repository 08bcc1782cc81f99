"""How records and tensors become bytes: canonical JSON and safetensors, each with a format version, never pickle.

A tensor file holds its record as one JSON string in the safetensors metadata, so that equal content is equal bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors.numpy import save

from fl_core.errors import InputError
from fl_core.types import RoundState, Weights

FORMAT = 1
Record = dict[str, Any]
_DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "I16": np.int16,
    "I8": np.int8, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
_HEADER_BYTES_MAX = 1 << 24


def sha256(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def encode_record(record: Mapping[str, Any]) -> bytes:
    """Canonical JSON (sorted keys, no NaN) with the format version."""
    return json.dumps({"format": FORMAT, **record}, sort_keys=True, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()


def decode_record(data: bytes | memoryview, what: str) -> Record:
    """The record; `what` names it in the error."""
    try:
        record = json.loads(bytes(data))
    except (ValueError, RecursionError) as error:  # whoever wrote it may nest it as deep as they like
        raise InputError(f"{what} is not JSON ({error}).") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        found = record.get("format") if isinstance(record, dict) else None
        raise InputError(f"{what} has format {found!r}; this version reads format {FORMAT}.")
    return record


def encode_tensors(tensors: Weights, record: Mapping[str, Any]) -> bytes:
    """Safetensors bytes of the tensors with the record in the metadata."""
    plain = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    return bytes(save(plain, metadata={"record": encode_record(record).decode()}))


def decode_tensors(data: bytes | memoryview, what: str) -> tuple[dict[str, np.ndarray], Record]:
    """The tensors, as read-only views into `data`, and the record."""
    view = memoryview(data)
    try:
        length = int.from_bytes(view[:8], "little")
        if not 2 <= length <= len(view) - 8:
            raise ValueError("its header is cut off")
        if length > _HEADER_BYTES_MAX:
            raise ValueError(f"its header has {length} bytes; at most {_HEADER_BYTES_MAX} are read")
        header = json.loads(bytes(view[8 : 8 + length]))
        record = decode_record(header.pop("__metadata__", {}).get("record", "null").encode(), what)
        "".join(header).encode()  # half of a surrogate pair is valid JSON and no name
        body = view[8 + length :]
        tensors = {name: _tensor(body, entry) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{what} is not a safetensors file of ours ({error}).") from error
    return tensors, record


def _tensor(body: memoryview, entry: Mapping[str, Any]) -> np.ndarray:
    start, stop = entry["data_offsets"]
    if not 0 <= start <= stop <= len(body):
        raise ValueError("its data are cut off")
    array = np.frombuffer(body[start:stop], _DTYPES[entry["dtype"]]).reshape(entry["shape"])
    array.flags.writeable = False
    return array


def digest_weights(weights: Weights) -> str:
    """sha256 over the weights in name order: name, dtype, shape, bytes."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = np.asarray(weights[name])
        digest.update(f"{name}\n{value.dtype.name}\n{','.join(map(str, value.shape))}\n".encode())
        digest.update(np.ascontiguousarray(value).reshape(-1).data)
    return digest.hexdigest()


def encode_state(state: RoundState) -> bytes:
    tensors = {f"weights.{name}": value for name, value in state.weights.items()}
    tensors |= {f"memory.{name}": value for name, value in state.memory.items()}
    return encode_tensors(tensors, {"round": state.round})


def decode_state(data: bytes | memoryview, what: str) -> RoundState:
    tensors, record = decode_tensors(data, what)
    return RoundState(record["round"], under(tensors, "weights."), under(tensors, "memory."))


def under(tensors: Weights, prefix: str) -> dict[str, np.ndarray]:
    """The tensors whose names start with the prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
