"""The memory of a model's tensors as numpy arrays: weights go in and out by plain copies, without a new tensor or a new model."""

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np

from fl_core.types import Weights


class ModelMemory:
    """Weights in and out of a model on the CPU. It has state because an array over a tensor's memory costs more to make than to fill.

    On another device, where memory cannot be shared, tensors are set and read one by one.
    """

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        self.tensors = dict(tensors)
        self._places: dict[str, int] = {}
        self._arrays: dict[str, np.ndarray] = {}

    def load(self, weights: Weights) -> None:
        """Copies the weights in; ValueError for one of another shape."""
        for name, tensor in self.tensors.items():
            array, value = self._array(name, tensor), weights[name]
            if tuple(tensor.shape) != np.shape(value):
                raise ValueError(f"'{name}' has shape {np.shape(value)}, not {tuple(tensor.shape)}")
            if array is None:
                tensor.set_value(value)
            else:
                np.copyto(array, value)

    def copy(self) -> dict[str, np.ndarray]:
        """The weights as they are."""
        return {name: np.array(self._read(name, tensor)) for name, tensor in self.tensors.items()}

    def move_since(self, before: Weights) -> dict[str, np.ndarray]:
        """How far each weight has moved."""
        return {name: np.asarray(self._read(name, tensor) - np.asarray(before[name])) for name, tensor in self.tensors.items()}

    def _read(self, name: str, tensor: Any) -> np.ndarray:
        array = self._array(name, tensor)
        return np.asarray(tensor.numpy()) if array is None else array

    def _array(self, name: str, tensor: Any) -> np.ndarray | None:
        """The tensor's memory, looked for anew where it lies elsewhere than last time; None where it cannot be shared."""
        if not tensor.place.is_cpu_place() or not tensor.is_contiguous():
            return None
        place = tensor.data_ptr()
        if self._places.get(name) != place or name not in self._arrays:
            like = tensor.numpy()
            shared = (ctypes.c_char * like.nbytes).from_address(place) if like.nbytes else b""
            self._arrays[name] = np.frombuffer(shared, like.dtype).reshape(like.shape)
            self._places[name] = place
        return self._arrays[name]
