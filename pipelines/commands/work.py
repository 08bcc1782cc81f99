"""`fl work JOB --store ROOT --run NAME --worker NAME`: takes part in a federation as one process of a worker, until the run ends."""

import argparse
import json
import sys

from pipelines.observe import add_port, observed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", help="the organisation's own copy of the job file: it says where the data are and pins the program")
    parser.add_argument("--store", required=True, metavar="ROOT", help="where the federation meets: file://FOLDER or s3://BUCKET/PREFIX")
    parser.add_argument("--run", required=True, metavar="NAME", help="the run's name")
    parser.add_argument("--worker", required=True, metavar="NAME", help="the worker's name in the job's federation")
    parser.add_argument(
        "--private",
        metavar="URI",
        help="the organisation's private place, for its key and its clients' memory (default: beside the store, ROOT.private; ./private/NAME for s3://…/NAME)",
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="override a key of the job")
    parser.add_argument("--processes", type=int, metavar="N", help="training processes (default: one a core)")
    parser.add_argument("--start-seconds", type=float, default=600.0, help="how long the run may take to appear (default: %(default)s)")
    parser.add_argument("--idle-seconds", type=float, default=3600.0, help="how long to wait where nothing moves (default: %(default)s)")
    parser.add_argument("--trust-any-program", action="store_true", help="run the run's program even where it is not the one of JOB")
    parser.add_argument("--dry-run", action="store_true", help="list what would leave this house, and stop")
    add_port(parser)


def main(arguments: argparse.Namespace) -> None:
    from fl_core.job import load_job
    from fl_core.live import work
    from fl_core.pool import open_pool
    from fl_core.runner import private_of
    from fl_core.stage import place_of
    from fl_core.store import open_store

    job = load_job(arguments.job, arguments.overrides)
    with open_pool(arguments.processes) as pool:
        if arguments.dry_run:
            from fl_core.leaving import what_leaves

            if arguments.trust_any_program:
                _tell(arguments.worker)("this list does not bind, because --trust-any-program was said: the run's strategy and evaluation decide what leaves")
            print(json.dumps(what_leaves(job, arguments.worker, pool, open_store(arguments.store)), indent=2))
            return
        arguments.way_on = "the same command again goes on from there"
        place = place_of(arguments.store, arguments.run)
        private = private_of(arguments.store, arguments.private)
        with observed(arguments.metrics_port, arguments.worker) as gauges:
            rounds = work(
                arguments.run, place, private, arguments.worker, pool, job=job, trust_any_program=arguments.trust_any_program,
                start_seconds=arguments.start_seconds, idle_seconds=arguments.idle_seconds, tell=_tell(arguments.worker), on_round=gauges.on_worker_round,
            )  # fmt: skip
    print(f"{arguments.worker}: the run '{arguments.run}' ended after {rounds} rounds.")


def _tell(worker: str):  # type: ignore[no-untyped-def]
    return lambda line: print(f"{worker}: {line}", file=sys.stderr, flush=True)
