"""A process that publishes: `python -m tests.services.publisher ROOT NAME COUNT`. It trains COUNT runs in dicts, says `ready`, waits for a line, and
publishes them one after another; prints the outcomes."""

import json
import sys

from fl_core import runner
from fl_core.store import open_store
from tests.fl_core.harness import three
from tests.fl_core.published import trained


def main(uri: str, name: str, count: str) -> None:
    root = open_store(uri)
    runs = [trained(root, f"{name}-{i}", target=three(len(name), i, 0), accuracy=0.5) for i in range(int(count))]
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps([{"run": run.name, **runner.finish(run, {"seconds": 1.0})["published"]} for run in runs]))


if __name__ == "__main__":
    main(*sys.argv[1:])
