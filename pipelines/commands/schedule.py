"""`fl schedule simulate JOB`: what a schedule would do, occurrence by occurrence, on this machine."""

import argparse
import json
from typing import Any

from pipelines.progress import show_rounds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_simulate(actions.add_parser("simulate", help="run some occurrences here, one after another", description=__doc__))


def _add_simulate(sub: argparse.ArgumentParser) -> None:
    sub.set_defaults(function=_simulate)
    sub.add_argument("job", metavar="JOB", help="the job file; its 'publish' section says what decides")
    sub.add_argument("--occurrences", type=int, default=3, metavar="N", help="how many (default: %(default)s)")
    sub.add_argument("--first", type=int, default=1, metavar="N", help="the number of the first (default: %(default)s)")
    sub.add_argument("--store", default="file://store", metavar="ROOT", help="the store whose registry moves: file://… or s3://… (default: %(default)s)")
    sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="override a key of the job, such as rounds=5")
    sub.add_argument("--processes", type=int, metavar="N", help="training processes (default: one a core)")
    sub.add_argument("--json", action="store_true", help="print the occurrences as one JSON object and nothing else")


def main(arguments: argparse.Namespace) -> None:
    arguments.function(arguments)


def _simulate(arguments: argparse.Namespace) -> None:
    from fl_core.job import load_job
    from fl_core.pool import open_pool
    from pipelines.schedule import simulate

    job = load_job(arguments.job, arguments.overrides)
    tell = (lambda outcome: None) if arguments.json else _tell
    with open_pool(arguments.processes) as pool, show_rounds(job.name, job.rounds) as on_round:
        outcomes = simulate(
            job, occurrences=arguments.occurrences, store=arguments.store, first=arguments.first, pool=pool, on_round=on_round, on_occurrence=tell
        )  # fmt: skip
    if arguments.json:
        print(json.dumps({"name": job.name, "occurrences": outcomes}))


def _tell(outcome: dict[str, Any]) -> None:
    version = f"version {outcome['version']}" if outcome["version"] else "no version"
    print(f"{outcome['occurrence']}  {outcome['decision']:<9}  {version}  {outcome['why']}", flush=True)
