"""What a reply must be to be merged; a worker may send anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fl_core import exact
from fl_core.codec import Record
from fl_core.errors import InputError, SignatureError
from fl_core.merging import apart
from fl_core.run_folder import Run, plan_key, reply_key
from fl_core.strategy import why_not_finite, why_unexpected
from fl_core.types import FIGURE_MAX, Form, Weights
from fl_core.worker import states_of

NO_REPLY = "its worker gave no reply"
SUMS = (np.dtype(np.int64), np.dtype(np.int32))
WEIGHT_MAX = 2.0**63
STRICT = ConfigDict(strict=True)
Figure = Annotated[float, Field(ge=-FIGURE_MAX, le=FIGURE_MAX, allow_inf_nan=False)]


class ClientFigures(BaseModel):
    model_config = STRICT
    weight: Annotated[float, Field(ge=0, le=WEIGHT_MAX, allow_inf_nan=False)]
    metrics: dict[str, Figure]


class ReplyRecord(BaseModel):
    """What a reply's record must hold; a worker may send anything."""

    model_config = STRICT
    run: str
    round: int
    exchange: str
    worker: str
    part: int
    form: str
    plan: str
    clients: dict[str, ClientFigures]
    failures: dict[str, str]
    states: dict[str, str] = {}


class Unacceptable(ValueError):
    """Why a reply, or an evaluation, is not accepted as a whole."""


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Makes Unacceptable of whatever is wrong with the bytes, the signature or the fields of what a worker sent, such as `a reply`."""
    noun = what.split()[-1]
    try:
        yield
    except (InputError, SignatureError) as error:
        raise Unacceptable(f"its {noun} was refused: {error}") from error
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise Unacceptable(f"its {noun} was refused: '{place}' is not what {what} holds") from error


def checked(
    run: Run, plan: Record, form: Form, expected: Weights, asked: tuple[str, ...], data: bytes | memoryview, key: str
) -> tuple[Weights, Record]:  # fmt: skip
    """A reply's tensors and record; Unacceptable where it is not what was asked for."""
    with refusing("a reply"):
        tensors, reply = run.check_tensors(data, key)
        ReplyRecord.model_validate(reply)
    if (reply["run"], reply["round"], reply["form"]) != (run.name, plan["round"], form) or reply["plan"] != run.digest(plan_key(plan["round"])):
        raise Unacceptable("its reply is for another round")
    if reply_key(reply["round"], reply["exchange"], reply["worker"], reply["part"]) != key:
        raise Unacceptable(f"its reply is for part {reply['part']} of the exchange '{reply['exchange']}'")
    if sorted([*reply["clients"], *reply["failures"]]) != sorted(asked):
        raise Unacceptable("its reply is for other clients")
    if reply.get("states", {}) != states_of(plan, asked):
        raise Unacceptable("its reply starts from other states than the plan names")
    why = _why_not_merged(form, tensors, reply, expected)
    if why:
        raise Unacceptable(why)
    return tensors, reply


def _why_not_merged(form: Form, tensors: Weights, reply: Record, expected: Weights) -> str | None:
    """Why the tensors of a reply cannot be merged, None where they can; a worker may send anything."""
    if form == "list":
        reasons = ((client, why_unexpected(move, expected) or why_not_finite(move, weight)) for client, move, weight in apart(tensors, reply))
        return next((f"{client}: {why}" for client, why in reasons if why), None)
    if form == "sum" and reply["clients"]:
        odd = next((f"its sum of '{name}' holds {value.dtype}, not int64 or int32" for name, value in tensors.items() if value.dtype not in SUMS), None)
        return odd or why_unexpected(tensors, expected) or exact.why_too_large(tensors, (figures["weight"] for figures in reply["clients"].values()))
    return None
