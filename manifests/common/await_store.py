"""`await_store.py ROOT RUN`: waits until this pod's account may read that run in the store, so that what comes after it starts once and well."""

import sys
import time

from fl_core.errors import FederationError
from fl_core.store import open_store

WAIT_SECONDS, PAUSE_SECONDS = 600.0, 3.0


def await_store(root: str, run: str, wait_seconds: float = WAIT_SECONDS, pause_seconds: float = PAUSE_SECONDS) -> None:
    """Asks for the run's status again and again; the last refusal is raised once the seconds are over."""
    end = time.monotonic() + wait_seconds
    while True:
        try:
            open_store(root).at(f"runs/{run}").exists("status.json")
            return
        except FederationError:
            if time.monotonic() > end:
                raise
        time.sleep(pause_seconds)


if __name__ == "__main__":
    try:
        await_store(sys.argv[1], sys.argv[2])
    except FederationError as error:
        sys.exit(str(error))
