"""Stands in for the interpreter of a task: `launch.py SOCKET -m kfp.dsl.executor_main WORD ...` hands it to a warm process and ends as that does.

It runs without site-packages, so that starting it costs next to nothing.
"""

import json
import os
import socket
import sys

LENGTH_BYTES = 4
KILLED = 137


def main(address: str, words: list[str]) -> int:
    """Gives the exit code of the task's process."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(address)
        task = json.dumps({"words": words[1:], "environment": dict(os.environ), "folder": os.getcwd()}).encode()
        socket.send_fds(link, [len(task).to_bytes(LENGTH_BYTES, "big")], [0, 1, 2])
        link.sendall(task)
        code = link.recv(1)
    return code[0] if code else KILLED


def receive(link: socket.socket, size: int) -> bytes:
    """Exactly so many bytes."""
    data = b""
    while len(data) < size:
        part = link.recv(size - len(data))
        if not part:
            raise EOFError("the launcher is gone")
        data += part
    return data


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
