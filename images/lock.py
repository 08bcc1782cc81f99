"""Compiles the images' locks from the lock of the whole: what builds, what the server needs, and what the worker needs besides.

`make lock` runs it. A worker's image rests on the server's, so that its lock names only what that one has not.
"""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
WHOLE = HERE.parent / "requirements.lock"
OPTIONS = ("--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--no-header", "--quiet")


def main(uv: str) -> None:
    for name in ("build", "server", "worker"):
        content = compiled(uv, name)
        if name == "worker":
            content = without(content, compiled(uv, "server"))
        (HERE / f"{name}.lock").write_text(content)


def compiled(uv: str, name: str) -> str:
    """All that `name.in` needs, with versions and hashes, at the versions of the whole."""
    command = [uv, "pip", "compile", str(HERE / f"{name}.in"), "--constraints", str(WHOLE), *OPTIONS]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def requirements(lock: str) -> dict[str, str]:
    """Each requirement of a lock, `name==version`, with its lines."""
    return {lines.split(" ", 1)[0]: lines for lines in re.split(r"\n(?=\S)", lock.strip())}


def without(lock: str, other: str) -> str:
    """The requirements of a lock that another does not have."""
    found, there = requirements(lock), requirements(other)
    return "".join(f"{lines}\n" for name, lines in found.items() if name not in there)


if __name__ == "__main__":
    main(sys.argv[1])
