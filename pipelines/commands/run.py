"""`fl run JOB`: trains a job to its end in one process, or on the compiled pipeline."""

import argparse
import shlex
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from pipelines.log_option import add_log, logged
from pipelines.progress import show, show_rounds

if TYPE_CHECKING:
    from fl_core.pool import Pool
    from fl_core.runner import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", help="the job file")
    parser.add_argument("--runner", choices=["process", "subprocess", "docker"], default="process", help="who calls the stages (default: process)")
    parser.add_argument("--store", default="file://store", metavar="ROOT", help="file://FOLDER or s3://BUCKET/PREFIX (default: %(default)s)")
    parser.add_argument("--out", metavar="DIR", help="the run's folder, in place of one under ROOT/runs")
    parser.add_argument("--name", help="the run's name (default: the job's name and the time)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="override a key, such as strategy.local_epochs=5")
    parser.add_argument("--processes", type=int, metavar="N", help="training processes (default: one a core)")
    add_log(parser)
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object and nothing else")


def main(arguments: argparse.Namespace) -> None:
    from fl_core.pool import Pool

    with Pool(arguments.processes) as pool:
        if arguments.runner == "process":
            # Paddle takes a second or more to import; the job is read and checked meanwhile.
            pool.warm()
        result = _run(arguments, pool)
    show(result, as_json=arguments.json)


def _run(arguments: argparse.Namespace, pool: "Pool") -> "Result":
    from fl_core.job import load_job
    from fl_core.runner import name_of

    job = load_job(arguments.job, arguments.overrides)
    name = name_of(job, arguments.out, arguments.name)
    place = {"store": arguments.store, "out": arguments.out, "name": name}
    try:
        with redirect_stdout(sys.stderr), show_rounds(job.name, job.rounds) as shown, logged(arguments, shown) as on_round:
            if arguments.runner == "process":
                from fl_core.runner import run

                return run(job, **place, pool=pool, on_round=on_round)
            from pipelines.local import run_local

            return run_local(job, **place, runner=arguments.runner, on_round=on_round)
    except KeyboardInterrupt:
        arguments.way_on = _way_on(arguments.out or f"{arguments.store.rstrip('/')}/runs/{name}")
        raise


def _way_on(folder: str) -> str:
    """How a run is gone on with, where it had begun."""
    from fl_core.run_folder import MANIFEST
    from fl_core.store import open_store

    return f"`fl resume {shlex.quote(folder.removeprefix('file://'))}` goes on from there" if open_store(folder).exists(MANIFEST) else ""
