"""`fl status URI`: shows where a run stands and who is waited for."""

import argparse
import json
from datetime import UTC, datetime


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="URI", help="the run's folder, or its URI in a store")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def main(arguments: argparse.Namespace) -> None:
    from fl_core.runner import open_run
    from fl_core.status import status_of

    found = status_of(open_run(arguments.run))
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{found['name']}: {found['status']}, {found['rounds_closed']} of {found['rounds']} rounds closed{', ' + found['why'] if found['why'] else ''}")
    if found["last_sign"] and found["status"] in ("starting", "running"):
        print(f"  last sign of life {_ago(found['last_sign'], datetime.now(UTC))}; who is killed says no more, and `running` stays")
    for worker in found["workers"]:
        print(f"  {worker['name']}: {worker['standing']}")


def _ago(time: str, now: datetime) -> str:
    """How long ago a time of the journal was."""
    return f"{max((now - datetime.fromisoformat(time)).total_seconds(), 0):,.0f} s ago"
