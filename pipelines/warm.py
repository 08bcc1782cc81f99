"""Warm stages: `python -m pipelines.warm SOCKET` has imported what every task imports, and forks a process for each task.

kfp.local starts a task by the path of the interpreter. A launcher stands in its place and hands the task over: words, environment, folder and streams.
A stage is still a process of its own; it dies with whoever waits for it.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from fl_core.errors import TrainingError
from pipelines import launch

START_SECONDS = 60.0
STREAMS = 3
IMPORTED = ("kfp.dsl.executor_main", "fl_core.stage", "fl_core.receipt", "fl_core.report")


@contextmanager
def warm_stages(folder: Path) -> Iterator[str]:
    """The path of a launcher, in the folder, that runs a task's command line in a warm process."""
    address, launcher = folder / "stages", folder / "python3"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{launch.__file__}" "{address}" "$@"\n')
    launcher.chmod(0o700)
    server = subprocess.Popen([sys.executable, "-P", "-m", "pipelines.warm", str(address)], stdin=subprocess.PIPE, env={**os.environ, "_KFP_RUNTIME": "true"})
    assert server.stdin
    try:
        end = time.monotonic() + START_SECONDS
        while not address.exists():
            if server.poll() is not None or time.monotonic() > end:
                raise TrainingError(f"The stages could not be started within {START_SECONDS:g} s; `fl doctor` tells what is missing.")
            time.sleep(0.005)
        yield str(launcher)
    finally:
        server.stdin.close()
        server.wait()


def main(address: str) -> None:
    """Forks a process for every task that a launcher brings; ends with its standard input."""
    for module in IMPORTED:
        import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    listener.listen()
    os.rename(f"{address}.new", address)  # whoever sees the socket finds it listening
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        link, _ = listener.accept()
        if not os.fork():
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _run(link)
        link.close()


def _run(link: socket.socket) -> None:
    """Does one task in this process and ends it."""
    from kfp.dsl.executor_main import executor_main

    size, streams, _, _ = socket.recv_fds(link, launch.LENGTH_BYTES, STREAMS)
    task = json.loads(launch.receive(link, int.from_bytes(size, "big")))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(task["folder"])
    os.environ.clear()
    os.environ.update(task["environment"])
    sys.argv = task["words"]
    threading.Thread(target=_end_with, args=(link,), daemon=True).start()
    code = 0
    try:
        executor_main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # whatever it is, it belongs into the task's log
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    link.sendall(bytes([code]))
    os._exit(code)


def _end_with(link: socket.socket) -> None:
    """Ends this process when its launcher is gone."""
    poll = select.poll()
    poll.register(link, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    poll.poll()
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
