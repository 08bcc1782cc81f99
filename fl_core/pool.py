"""A pool of warm training processes: sends them calls, sees them die or hang, and puts fresh ones in their place.

Paddle is imported once, in a *nursery* process; each training process is forked from it in some 30 ms. The parent never imports Paddle. A training
process ends when its parent's end of the socket closes, so none outlives the stage that asked for it. This module imports little itself, so that a
command can start the nursery before anything else.
"""

import json
import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Client, Connection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from fl_core import errors
from fl_core.errors import FederationError, InputError, TrainingError
from fl_core.numerics import training_environment

if TYPE_CHECKING:
    from fl_core.codec import Record

START_SECONDS = 120.0
CALL_SECONDS = 3600.0
PROCESSES_MAX = 256
NURSERY = "FL_NURSERY"


@dataclass(frozen=True)
class Call:
    """An operation of a training process (a function of `fl_core.trainer`) and its arguments.

    The deadline counts anew whenever the process reports a client; until the first, while data and model are opened, START_SECONDS more are allowed.
    """

    operation: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    deadline_seconds: float = CALL_SECONDS


@dataclass(frozen=True)
class Died:
    """A training process was killed, crashed or hung; `at` is the client it was at, None before the first."""

    reason: str
    at: str | None = None


Outcome: TypeAlias = "Record | FederationError | Died"


class Pool:
    """Training processes for one job at a time. `with Pool(2) as pool: …`; it has state because processes live."""

    def __init__(self, processes: int | None = None, nursery: str | None = None) -> None:
        """`processes` defaults to one a core; `nursery` is the socket of one that somebody else keeps warm. One of its own starts with the first call."""
        self.processes = min(len(os.sched_getaffinity(0)) if processes is None else processes, PROCESSES_MAX)
        if self.processes < 1:
            raise InputError(f"processes is {processes}; a pool has at least 1.")
        self._shared = nursery
        self._kept: Nursery | None = None
        self._idle: list[_Trainer] = []
        self._context: Record = {}

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        for trainer in self._idle:
            trainer.kill()
        self._idle.clear()
        if self._kept:
            self._kept.close()

    def warm(self) -> None:
        """Starts the nursery now, so that it imports while the caller does other things; does not wait for it."""
        if not self._shared:
            self._own()

    def about(self, context: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> None:
        """Says which run the following calls are about. `given` are Python objects (a strategy, data) that stand in for what the job names.

        Each saying is a turn: what processes have opened is opened anew, but for a run that follows upon the check of its own job.
        """
        self._context = {**context, "turn": self._context.get("turn", 0) + 1}
        if given:
            if self._shared:
                raise InputError("A pool on a shared nursery takes no Python objects.")
            import cloudpickle

            self._context["given"] = self._own().keep(cloudpickle.dumps(dict(given)))

    def singles(self) -> list["Pool"]:
        """As many pools of one process each, on the same nursery and about the same run, for who calls from several threads; idle processes go over."""
        address = self._shared or self._own().address
        pools = [Pool(1, address) for _ in range(self.processes)]
        for one in pools:
            one._context, one._idle = dict(self._context), [self._idle.pop()] if self._idle else []
        return pools

    def run(self, calls: Sequence[Call]) -> Iterator[tuple[Call, Outcome]]:
        """Runs the calls on the pool's processes and yields each with its outcome as it ends, in any order."""
        todo, busy = deque(calls), dict[Connection, _Trainer]()
        try:
            while todo or busy:
                self._send(todo, busy)
                nearest = min(trainer.deadline for trainer in busy.values())
                ready = _wait(busy, max(0.0, nearest - time.monotonic()))
                ended: list[tuple[Call, Outcome]] = []
                for connection, trainer in list(busy.items()):
                    outcome = trainer.receive() if connection in ready else trainer.late()
                    if outcome is None:
                        continue
                    del busy[connection]
                    if not isinstance(outcome, Died):
                        self._idle.append(trainer)
                    ended.append((trainer.call, outcome))
                self._send(todo, busy)  # before whoever listens does something with what ended
                yield from ended
        finally:
            for trainer in busy.values():
                trainer.kill()

    def _send(self, todo: deque[Call], busy: dict[Connection, "_Trainer"]) -> None:
        """Gives every process that is free, or may be started, the next call."""
        while todo and len(busy) < self.processes:
            trainer = self._idle.pop() if self._idle else self._start()
            if trainer.send(todo[0], self._context):
                todo.popleft()
                busy[trainer.connection] = trainer

    def _start(self) -> "_Trainer":
        return _Trainer(self._shared or self._own().address)

    def _own(self) -> "Nursery":
        self._kept = self._kept or Nursery()
        return self._kept


class _Trainer:
    """One training process and the call that it is at."""

    def __init__(self, address: str) -> None:
        try:
            self.connection: Connection = Client(address, family="AF_UNIX")
            if not self.connection.poll(START_SECONDS):
                raise EOFError
            self._pid = int(json.loads(self.connection.recv_bytes())["pid"])
        except (OSError, EOFError) as error:
            raise TrainingError(f"No training process could be started within {START_SECONDS:g} s; `fl doctor` tells what is missing.") from error
        self.call, self._at, self.deadline = Call("nothing"), None, float("inf")

    def send(self, call: Call, context: "Record") -> bool:
        """False where the process died while it was idle."""
        self.call, self._at, self.deadline = call, None, time.monotonic() + call.deadline_seconds + START_SECONDS
        try:
            self.connection.send_bytes(json.dumps({"operation": call.operation, "context": context, "arguments": call.arguments}).encode())
        except OSError:
            self.kill()
            return False
        return True

    def receive(self) -> "Outcome | None":
        try:
            message: Record = json.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            self.kill()
            return Died("its training process died", self._at)
        if "at" in message:
            self._at, self.deadline = message["at"], time.monotonic() + self.call.deadline_seconds
            return None
        if "error" in message:
            return _error(message["kind"], message["error"])
        return dict(message["result"])

    def late(self) -> Died | None:
        if time.monotonic() < self.deadline:
            return None
        self.kill()
        return Died(f"gave no answer within {self.call.deadline_seconds:g} s", self._at)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        self.connection.close()


class Nursery:
    """The process that has Paddle imported and forks training processes; started at once, ready when the first connection is answered."""

    def __init__(self, environment: Mapping[str, str] | None = None, modules: Sequence[str] = ()) -> None:
        """`modules` are imported too, once for all training processes. `path` is where its socket will be."""
        self._folder = tempfile.TemporaryDirectory(prefix="fl-")
        self.path = str(Path(self._folder.name) / "nursery")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "fl_core.nursery", self.path, *modules],
            stdin=subprocess.PIPE, stdout=sys.stderr.fileno() if _has_number(sys.stderr) else subprocess.DEVNULL,
            env=training_environment(os.environ if environment is None else environment),
        )  # fmt: skip

    @property
    def address(self) -> str:
        """The socket, as soon as it is there."""
        self.wait()
        return self.path

    def wait(self) -> None:
        """Waits until the nursery is ready; TrainingError where it cannot be started."""
        end = time.monotonic() + START_SECONDS
        while not os.path.exists(self.path):
            if self._process.poll() is not None or time.monotonic() > end:
                self.close()
                raise TrainingError("The training processes could not be started; `fl doctor` tells what is missing.")
            time.sleep(0.005)

    def keep(self, data: bytes) -> str:
        """Keeps bytes for the training processes, readable by this user alone; gives their path."""
        path = Path(self._folder.name) / f"given-{time.monotonic_ns()}"
        path.touch(mode=0o600)
        path.write_bytes(data)
        return str(path)

    def close(self) -> None:
        if not os.path.exists(self.path):
            # Nobody has used it yet, and it would hear of its end only once all is imported.
            self._process.kill()
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


def _wait(connections: Iterable[Connection], seconds: float) -> list[Connection]:
    """The connections that have something to say, or have ended; as `multiprocessing.connection.wait`, at a tenth of its cost, which each client pays."""
    poll = select.poll()
    by_number = {connection.fileno(): connection for connection in connections}
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll(math.ceil(seconds * 1000))]


def _error(kind: str, text: str) -> FederationError:
    """The error that a training process told of, of the kind that it was there."""
    found = getattr(errors, kind, FederationError)
    error: FederationError = found.__new__(found)
    error.args = (text,)
    return error


def _has_number(stream: Any) -> bool:
    try:
        stream.fileno()
        return True
    except (OSError, AttributeError, ValueError):
        return False


def open_pool(processes: int | None = None) -> Pool:
    """A pool on the nursery that the environment names (a runner keeps one warm for its tasks), or on one of its own."""
    return Pool(processes, os.environ.get(NURSERY) or None)
