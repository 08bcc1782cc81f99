"""`fl resume DIR`: goes on with a run where it stopped, or forks it at a round and goes on from there."""

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
    parser.add_argument("run", metavar="DIR", help="the run's folder, or its URI in a store")
    parser.add_argument("--store", default="", metavar="ROOT", help="the store whose registry the run publishes to (default: the one that it lies in)")
    parser.add_argument("--processes", type=int, metavar="N", help="training processes (default: one a core)")
    parser.add_argument("--from-round", type=int, metavar="N", help="go on from before round N in a copy of the run; with --out")
    parser.add_argument("--out", metavar="NEW", help="the folder of that copy")
    add_log(parser)
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object and nothing else")


def main(arguments: argparse.Namespace) -> None:
    from fl_core.pool import Pool

    with Pool(arguments.processes) as pool:
        pool.warm()  # Paddle takes a second to import; the run is read meanwhile.
        result = _resume(arguments, pool)
    show(result, as_json=arguments.json)


def _resume(arguments: argparse.Namespace, pool: "Pool") -> "Result":
    from fl_core.errors import InputError
    from fl_core.fork import fork
    from fl_core.runner import last_progress, open_run, resume

    if (arguments.from_round is None) != (arguments.out is None):
        raise InputError("--from-round and --out go together: the round to fork at, and the folder of the copy.")
    if arguments.from_round is not None:
        arguments.run = str(fork(arguments.run, arguments.from_round, arguments.out).store.uri)
    arguments.way_on = f"`fl resume {shlex.quote(arguments.run.removeprefix('file://'))}` goes on from there"
    one = open_run(arguments.run)
    was_finished = one.find("summary.json") is not None
    if was_finished:
        print(f"The run '{one.name}' is finished; nothing was changed.", file=sys.stderr)
    with redirect_stdout(sys.stderr), show_rounds(one.job.name, one.job.rounds) as shown, logged(arguments, shown) as on_round:
        result = resume(arguments.run, store=arguments.store, on_round=on_round, pool=pool)
        if was_finished and arguments.log and (progress := last_progress(result)):
            on_round(progress)
    return result
