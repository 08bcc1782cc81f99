"""Every client gets an equal random share and sees it in its own way: turned, blurred, with noise or more contrast, or its features scaled and shifted."""

import math
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from fl_core.errors import InputError
from fl_core.partitions._deal import Clients
from fl_core.partitions._pictures import blur, pictures_of, rotate
from fl_core.partitions.iid import iid
from fl_core.types import CentralData, Deal, Examples

Amount = Annotated[float, Field(ge=0, le=1e6)]
Angle = Annotated[float, Field(ge=0, le=180)]
Pixels = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Shift:
    """How one client sees its examples; each part changes nothing at its default. `seed` is of its noise and of what is drawn for each feature."""

    degrees: float = 0.0
    blur_pixels: float = 0.0
    contrast: float = 1.0
    noise: float = 0.0
    feature_scale: float = 0.0
    feature_shift: float = 0.0
    seed: int = 0

    def __str__(self) -> str:
        parts = {
            f"turned by {self.degrees:.3g}°": self.degrees, f"blurred over {self.blur_pixels:.3g} pixels": self.blur_pixels,
            f"contrast times {self.contrast:.3g}": self.contrast - 1, f"noise of deviation {self.noise:.3g}": self.noise,
            f"each feature scaled by up to {self.feature_scale:.3g}": self.feature_scale,
            f"each feature shifted by about {self.feature_shift:.3g}": self.feature_shift,
        }  # fmt: skip
        return ", ".join(text for text, amount in parts.items() if amount) or "as it is"


def feature_shift(
    data: CentralData,
    random: np.random.Generator,
    *,
    clients: Clients,
    rotation_degrees: Angle = 0.0,
    blur_pixels: Pixels = 0.0,
    contrast: Share = 0.0,
    noise: Amount = 0.0,
    scale: Share = 0.0,
    shift: Amount = 0.0,
) -> Deal:
    """Rows dealt like `iid`; on top of it, drawn once for each client:

    rotation_degrees  pictures are turned by an angle of up to so much, either way
    blur_pixels       pictures are blurred by a Gaussian of up to so much
    contrast          features lie farther from or closer to their example's mean, times 1 - contrast to 1 + contrast
    noise             client number i of N, from 1, has Gaussian noise of variance noise * i / N (Li, Diao, Chen and He 2022, section IV-B,
                      https://arxiv.org/abs/2102.02079)
    scale, shift      each feature times 1 - scale to 1 + scale, plus a Gaussian of deviation `shift`, in its own unit: for tables

    Labels and the test set stay as they are. Pictures are examples of (…, height, width), or rows of a square number of pixels.
    """
    amounts = {"rotation_degrees": rotation_degrees, "blur_pixels": blur_pixels, "contrast": contrast, "noise": noise, "scale": scale, "shift": shift}
    _check(data.train.x, amounts)
    rows = iid(data, random, clients=clients)
    shifts = {name: _draw(random, (place + 1) / clients, amounts) for place, name in enumerate(rows)}
    return Deal(rows, lambda client, examples: Examples(changed(examples.x, shifts[client]), examples.y), lambda client: str(shifts[client]))


def _check(x: np.ndarray, amounts: dict[str, float]) -> None:
    if not any(amounts.values()):
        raise InputError(f"The partition 'feature_shift' shifts nothing; set one of {', '.join(amounts)}, or take 'iid'.")
    if x.dtype.kind != "f":
        raise InputError(f"The partition 'feature_shift' changes measured features, but x is {x.dtype}; take another partition.")
    if (amounts["rotation_degrees"] or amounts["blur_pixels"]) and pictures_of(x[:1]) is None:
        raise InputError(
            f"partition.{'rotation_degrees' if amounts['rotation_degrees'] else 'blur_pixels'} is for pictures, but an example has the shape {x.shape[1:]}; "
            "take noise, scale or shift."
        )


def _draw(random: np.random.Generator, share: float, amounts: dict[str, float]) -> Shift:
    angle, width, contrast = random.uniform(-1, 1), random.uniform(), random.uniform(-1, 1)
    return Shift(
        angle * amounts["rotation_degrees"], width * amounts["blur_pixels"], 1 + contrast * amounts["contrast"], math.sqrt(amounts["noise"] * share),
        amounts["scale"], amounts["shift"], int(random.integers(2**63)),
    )  # fmt: skip


def changed(x: np.ndarray, shift: Shift) -> np.ndarray:
    """The examples as the client of this shift sees them, in their own type; the same every time."""
    now: Any = x.astype(np.float64)
    if shift.degrees or shift.blur_pixels:
        pictures = pictures_of(x)
        assert pictures is not None, "the deal checked that"
        now = blur(rotate(pictures, shift.degrees) if shift.degrees else pictures, shift.blur_pixels).reshape(x.shape)
    if shift.contrast != 1:
        mean = now.mean(axis=tuple(range(1, now.ndim)), keepdims=True)
        now = mean + shift.contrast * (now - mean)
    features, noise = (np.random.Generator(np.random.PCG64([shift.seed, use])) for use in range(2))
    if shift.feature_scale or shift.feature_shift:
        factor, offset = features.uniform(-1, 1, x.shape[1:]), features.standard_normal(x.shape[1:])
        now = now * (1 + shift.feature_scale * factor) + shift.feature_shift * offset
    if shift.noise:
        now = now + shift.noise * noise.standard_normal(x.shape)
    return np.asarray(now, x.dtype)
