"""A nursery that stays warm for all tests that run pipelines."""

from collections.abc import Iterator

import pytest

from fl_core.pool import Nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[str]:
    """The socket of a nursery; whoever forks from it dies with its own connection."""
    warm = Nursery(modules=["fl_core.programs.logistic", "fl_core.programs.cnn_small", "fl_core.programs.gru"])
    yield warm.address
    warm.close()
