"""Everyone takes part in every round."""

from collections.abc import Sequence

from fl_core.strategy import Draw, Select


def everyone() -> Select:
    def select(draw: Draw) -> Sequence[str]:
        return draw.clients

    return select
