"""A supervisor: runs a role as a child process and starts it again when it dies. What is done lies in the store, so that the role goes on where it was."""

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

RESTARTS_MAX = 20
STEADY_SECONDS = 600.0
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 1.0, 60.0
ENDS = (0, 2, 3)  # done, wrong input, refused: starting again would end the same way
PR_SET_PDEATHSIG = 1


def supervise(
    command: Sequence[str],
    told: str,
    *,
    restarts_max: int = RESTARTS_MAX,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Runs the command, with `told` on its standard input, until it ends in good order, and gives its exit code; 1 once it died too often.

    Pauses grow from a second to a minute; a child that lived for ten minutes starts the count anew.
    """
    deaths = 0
    while True:
        begun = clock()
        code = run(command, told)
        if code in ENDS:
            return code
        deaths = 1 if clock() - begun >= STEADY_SECONDS else deaths + 1
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        if deaths > restarts_max:
            print(f"The role {how}; it died {deaths} times, which is too often.", file=sys.stderr, flush=True)
            return 1
        pause = min(PAUSE_SECONDS * 2 ** (deaths - 1), PAUSE_SECONDS_MAX)
        print(f"The role {how}; it is started again in {pause:g} s ({deaths} of at most {restarts_max} times).", file=sys.stderr, flush=True)
        sleep(pause)


def run(command: Sequence[str], told: str) -> int:
    """Runs the command once; gives its exit code, or the negative number of the signal that killed it. It dies with this process."""
    child = subprocess.Popen(command, stdin=subprocess.PIPE, preexec_fn=_die_with_the_parent)
    child.communicate(told.encode())
    return child.returncode


def _die_with_the_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
