"""Small jobs for tests: digits, six clients of unequal size, three rounds; and a strategy whose clients can be made to misbehave."""

from fl_core.job import Job, parse_job

DIGITS = """
format: 1
name: tiny
program: fl_core.programs.digits:program
strategy: {name: fed_avg, local_epochs: 1, batch_size: 32}
data: {name: digits, partition: {name: quantity_skew, clients: 6, alpha: 2.0}}
federation: {workers: 2}
rounds: 3
optimizer: {name: SGD, learning_rate: 0.5}
seed: 5
"""

# A client misbehaves the first `times` times that it is trained; a marker file in `folder` counts them, also across processes that die.
MISBEHAVING = """
import os, signal, time
from dataclasses import replace
from pathlib import Path
import numpy as np
from fl_core.strategies.fed_avg import fed_avg
from fl_core.types import ClientUpdate

def misbehave(folder: str, how: str = "raise", client: str = "client-2", times: int = 1000, round: int = 2, batch_size: int = 32):
    base = fed_avg(batch_size=batch_size)
    trip = base.exchanges[0]
    def at_worker(one, state, memory, message):
        update, memory = trip.at_worker(one, state, memory, message)
        if one.name not in client.split(",") or state.round != round:
            return update, memory
        Path(folder, f"{one.name}-{time.time_ns()}").touch()
        if len(list(Path(folder).glob(f"{one.name}-*"))) > times:
            return update, memory
        if how == "raise":
            raise RuntimeError("no data today\\nsecond line")
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "hang":
            time.sleep(600)
        first = min(update.move)
        wrong = {"nan": update.move[first] * np.nan, "inf": np.full_like(update.move[first], np.inf), "shape": update.move[first][:1], "lack": None}[how]
        move = {n: v for n, v in update.move.items() if n != first} | ({} if how == "lack" else {first: wrong})
        return ClientUpdate(move, update.weight, update.metrics), memory
    return replace(base, exchanges=(replace(trip, at_worker=at_worker),))
"""


def tiny_job(*overrides: str) -> Job:
    """The small job with overrides such as `rounds=2`."""
    return parse_job(DIGITS, overrides)


def misbehaving_job(folder: object, how: str, *overrides: str, times: int = 1000, client: str = "client-2") -> Job:
    """The small job whose client misbehaves in round 2."""
    strategy = f"strategy={{name: 'bad.py:misbehave', folder: '{folder}', how: {how}, times: {times}, client: '{client}'}}"
    return parse_job(DIGITS, (strategy, *overrides), code={"bad.py": MISBEHAVING})
