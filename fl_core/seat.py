"""A process of a worker at the federation's table: what it works on, what it hears of the server, and the evaluations that are its to do."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from fl_core import worker
from fl_core.codec import Record, decode_record
from fl_core.errors import KeyMissing, KeyTaken, PolicyError
from fl_core.journal import staged
from fl_core.lease import Leases
from fl_core.pool import Pool
from fl_core.run_folder import Run, evaluation_key, state_key
from fl_core.waiting import Rhythm

STATUS_SECONDS = 5.0
STATUS = "status.json"


@dataclass(frozen=True)
class Seat:
    """One process of a worker at the federation's table: what it works on, and whether evaluations are its to do."""

    run: Run
    worker: str
    pool: Pool
    leases: Leases
    measures: bool
    idle_seconds: float
    plans: Rhythm


def status_said(run: Run) -> Record:
    """How the server says that it is."""
    return decode_record(run.store.get(STATUS), STATUS) if run.store.exists(STATUS) else {"status": "running"}


def check_status(run: Run) -> None:
    """PolicyError where the server stopped the run."""
    status = status_said(run)
    if status["status"] == "stopped":
        raise PolicyError(f"The server stopped the run: {status['why']}")


def measure(seat: Seat, round: int) -> bool:
    """Measures the state that the round starts from; False while another process of the worker does."""
    key = evaluation_key(round, seat.worker)
    number = seat.leases.take(key)
    if not number:
        return seat.run.store.exists(key)

    def evaluate() -> None:
        with suppress(KeyTaken), staged(seat.run, "evaluate", round, worker=seat.worker):  # what lies there is for the server to judge
            worker.measure(seat.run, round, seat.worker, seat.pool)

    try:
        if number == 1 or not seat.run.store.exists(key):
            unless_forgotten(seat.run, round, evaluate)
    finally:
        seat.leases.done(key)
    return True


def unless_forgotten(run: Run, round: int, do: Callable[[], None]) -> None:
    """Does something with a round's state; nothing where the server forgot that state meanwhile, for it is no longer wanted then."""
    try:
        do()
    except KeyMissing:
        if run.store.exists(state_key(round)):
            raise
