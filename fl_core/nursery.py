"""The nursery: `python -m fl_core.nursery SOCKET [MODULE…]` imports Paddle once and forks a training process for every connection, until its input closes."""

import gc
import os
import select
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection, Listener


def main(address: str, *modules: str) -> None:
    """Imports what training needs, and the modules, so that every training process has them; then forks one for each connection."""
    import_for_good(modules)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = Listener(f"{address}.new", family="AF_UNIX", backlog=64)
    os.rename(f"{address}.new", address)  # whoever sees the socket finds it listening
    number = listener._listener._socket.fileno()  # type: ignore[attr-defined]
    while True:
        ready, _, _ = select.select([number, sys.stdin.fileno()], [], [])
        if sys.stdin.fileno() in ready:
            os._exit(0)
        connection = listener.accept()
        if os.fork():
            connection.close()
            continue
        os.close(number)
        _serve(connection)


def import_for_good(modules: Sequence[str]) -> None:
    """Imports the training process's module with Paddle, and these modules where they are there, for as long as this process lives.

    Looking for garbage among the hundreds of thousands of objects that an import makes finds none; it would cost a sixth of the time.
    """
    gc.disable()
    import_module("fl_core.trainer")
    for module in modules:
        with suppress(ImportError):  # whoever needs it will say so
            import_module(module)
    gc.freeze()
    gc.enable()


def _serve(connection: Connection) -> None:
    """What a forked process does until its end."""
    from fl_core.trainer import serve

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    serve(connection)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
