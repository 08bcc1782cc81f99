"""What all tests share: one warm pool of training processes, and the folder of real data."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fl_core.pool import Pool

ROOT = Path(__file__).parents[1]
# Processes that a test starts import the tests' own modules by this, and nothing from the folder that they happen to start in.
os.environ["PYTHONPATH"] = str(ROOT)
DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """Two training processes that stay warm for the whole session. A test that kills one leaves a fresh one behind."""
    shared = Pool(2)
    shared.close, close = lambda: None, shared.close  # type: ignore[method-assign]
    yield shared
    close()


@pytest.fixture(scope="session")
def nursery(pool: Pool) -> str:
    """The address of the warm nursery, for pools of a test's own."""
    return pool._own().address


@pytest.fixture
def warm(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command trains on the session's pool in place of one of its own; where it asks for a number of processes, it gets them."""

    class Shared(Pool):
        def __new__(cls, processes: int | None = None, nursery: str | None = None) -> Pool:  # type: ignore[misc]
            return pool if processes is None else Pool(processes, nursery)

    monkeypatch.setattr("fl_core.pool.Pool", Shared)
