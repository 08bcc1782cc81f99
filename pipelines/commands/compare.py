"""`fl compare JOB --vary KEY=A,B --seeds 3`, or `fl compare DIR DIR …`: runs or reads several jobs and shows them side by side."""

import argparse
import json
import math
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from pipelines.log_option import add_log, check_log, logged
from pipelines.progress import show_rounds

if TYPE_CHECKING:
    from fl_core.comparison import Combination, Comparison, Target
    from fl_core.comparison_plan import Planned
    from fl_core.errors import FederationError
    from fl_core.runner import OnRound

STAR = "The best of a column has a star."
OF_A_JOB = ("vary", "overrides", "seeds", "out", "processes", "log")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("places", nargs="+", metavar="JOB|DIR", help="a job file to run; or folders or URIs of runs, or folders of such, to read")
    parser.add_argument("--vary", action="append", default=[], metavar="KEY=A,B", help="run with each of these values (YAML; repeatable: every combination)")
    parser.add_argument("--seeds", type=int, default=None, metavar="N", help="run each combination with so many seeds, counted from the job's (default: 1)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="override a key of the job in all runs")
    parser.add_argument("--target", metavar="METRIC=VALUE", help="count the rounds until the metric is reached, such as accuracy=0.97")
    parser.add_argument("--out", metavar="DIR", help="the folder of the runs; one that is there is gone on with (default: a new one under store/comparisons)")
    parser.add_argument("--store", default="file://store", metavar="ROOT", help="the store whose registry a job may start from (default: %(default)s)")
    parser.add_argument("--page", metavar="FILE", help="the page (default: comparison.html in the folder of the runs)")
    parser.add_argument("--processes", type=int, metavar="N", help="training processes (default: one a core)")
    add_log(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def main(arguments: argparse.Namespace) -> int:
    from fl_core.comparison import compare
    from fl_core.comparison_page import PAGE, write
    from fl_core.run_folder import MANIFEST

    target = _read_target(arguments.target)
    if _is_job(arguments.places):
        folder = arguments.out or f"store/comparisons/{Path(arguments.places[0]).stem}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        combinations, failed = _run(arguments, folder, target)
    else:
        combinations, failed = _read(arguments), []
        place, *others = arguments.places
        folder = "." if others or "://" in place or (Path(place) / MANIFEST).is_file() else place
    comparison = compare(combinations, target)
    page = Path(arguments.page or Path(folder) / PAGE)
    write(comparison, page, _command(arguments, folder))
    _show(comparison, page, as_json=arguments.json)
    return failed[0].exit_code if failed else 0


def _is_job(places: Sequence[str]) -> bool:
    """Whether a job file is to be run; InputError where one stands among runs."""
    from fl_core.errors import InputError

    files = [place for place in places if "://" not in place and not Path(place).is_dir()]
    if files and len(places) > 1:
        raise InputError(f"'{files[0]}' is no folder of a run; name one job file to run, or folders and URIs of runs to read.")
    return bool(files)


def _read_target(word: str | None) -> "Target | None":
    from fl_core.comparison import Target
    from fl_core.errors import InputError

    if word is None:
        return None
    metric, _, value = word.partition("=")
    try:
        goal = float(value)
    except ValueError:
        goal = math.nan
    if not metric or not math.isfinite(goal):
        raise InputError(f"'--target {word}' is not of the form METRIC=NUMBER, such as accuracy=0.97.")
    return Target(metric, goal)


def _run(arguments: argparse.Namespace, folder: str, target: "Target | None") -> "tuple[list[Combination], list[FederationError]]":
    """Runs what the job file and --vary make; all is checked before the first run begins."""
    from fl_core.comparison_plan import plan
    from fl_core.comparison_runs import check, gather, run_all
    from fl_core.pool import Pool

    path = arguments.places[0]
    check_log(arguments)
    planned = plan(path, arguments.overrides, arguments.vary, 1 if arguments.seeds is None else arguments.seeds, folder)
    arguments.way_on = f"the same command with --out {shlex.quote(folder)} goes on from there"
    with Pool(arguments.processes) as pool, redirect_stdout(sys.stderr):
        check(path, planned, pool, arguments.store, target)
        print(f"{len(planned)} runs in {folder}; after an interruption the same command with --out {shlex.quote(folder)} goes on.", file=sys.stderr)
        watched = {one.folder: number for number, one in enumerate(planned, start=1)}

        @contextmanager
        def watch(one: "Planned") -> "Iterator[OnRound]":
            name = f"{watched[one.folder]}/{len(planned)} {one.name}"
            with show_rounds(name, one.job.rounds) as shown, logged(arguments, shown, f"{one.folder.parent.name}/{one.folder.name}") as on_round:
                yield on_round

        failed = run_all(planned, pool, arguments.store, watch)
    for place, error in failed.items():
        print(f"{place} failed: {error}", file=sys.stderr)
    return gather(planned, failed), list(failed.values())


def _read(arguments: argparse.Namespace) -> "list[Combination]":
    from fl_core.comparison import group
    from fl_core.comparison_facts import read_outcome
    from fl_core.comparison_runs import find_runs
    from fl_core.errors import InputError
    from fl_core.runner import open_run

    given = next((name for name in OF_A_JOB if getattr(arguments, name)), None)
    if given:
        raise InputError(f"--{given.replace('overrides', 'set')} is for a job file; '{arguments.places[0]}' holds runs, which are only read. Leave it out.")
    return group(read_outcome(open_run(place)) for place in find_runs(arguments.places))


def _command(arguments: argparse.Namespace, folder: str) -> str:
    """The words that make the page again."""
    words = ["fl", "compare", *arguments.places]
    if _is_job(arguments.places):
        words += [word for option, values in (("--vary", arguments.vary), ("--set", arguments.overrides)) for value in values for word in (option, value)]
        words += ["--seeds", str(arguments.seeds)] if arguments.seeds else []
        words += ["--out", folder]
    words += ["--target", arguments.target] if arguments.target else []
    return shlex.join(words)


def _show(comparison: "Comparison", page: Path, *, as_json: bool) -> None:
    from fl_core.comparison import as_record
    from fl_core.comparison_figures import called, caption, costs, results, verdict
    from pipelines.columns import show_columns

    if as_json:
        print(json.dumps({**as_record(comparison), "page": str(page)}))
        return
    for shown in (results(comparison), costs(comparison)):
        print(show_columns([*called(comparison), *shown], shutil.get_terminal_size().columns), end="\n\n")
    print(fill(f"{caption(comparison)} {STAR} {verdict(comparison)}".strip(), shutil.get_terminal_size().columns))
    print(f"page  {page}")
