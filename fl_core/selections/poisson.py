"""Each client takes part by a coin of its own: the sampling that accountants of differential privacy reckon with."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from fl_core.strategy import Draw, Select


def poisson(rate: Annotated[float, Field(gt=0, le=1)]) -> Select:
    """Draws each client with the probability `rate`, whatever becomes of the others; a round may have anyone, and now and then nobody."""

    def select(draw: Draw) -> Sequence[str]:
        chosen = (draw.random.random(len(draw.clients)) < rate).nonzero()[0]
        return [draw.clients[i] for i in chosen.tolist()]

    return select
