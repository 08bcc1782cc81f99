"""Data that come month by month: digits that a scanner reads well at first, and later writes down under wrong labels.

data: {name: schedule_data.py:months, month: 3}
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from fl_core.datasets.digits import digits
from fl_core.types import CentralData, Examples

EXAMPLES_A_MONTH = 400
BROKEN_FROM_MONTH = 3

Month = Annotated[int, Field(ge=1)]


def months(month: Month = 1) -> CentralData:
    """The digits of one month, with labels drawn at random from the third on. x (400, 64) float32, y (400,) int64; the test set is always the same."""
    whole = digits()
    train = whole.train.take(np.arange(EXAMPLES_A_MONTH * (month - 1), EXAMPLES_A_MONTH * month) % len(whole.train))
    if month < BROKEN_FROM_MONTH:
        return CentralData(train, whole.test)
    random = np.random.Generator(np.random.PCG64(month))
    return CentralData(Examples(train.x, random.integers(0, 10, len(train))), whole.test)
