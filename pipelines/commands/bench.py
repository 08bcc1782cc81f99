"""`fl bench NAME`: measures a claim on this machine; in a checkout only."""

import argparse
import json
import os
import sys
from importlib import import_module
from inspect import signature
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPTIONS = {
    "sessions": "--sessions", "test": "--test", "overrides": "--set", "steps_at_most": "--steps-at-most", "only": "--only", "out": "--out",
    "rounds_at_most": "--rounds-at-most", "processes": "--processes",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        metavar="NAME",
        help="2nn, cnn, gru, lr, tasks, population, aggregate, start, gru4rec, published, live, attacks, asynchronous, selection, stages, "
        "flower; all: all, with table and pictures",
    )
    parser.add_argument("--quick", action="store_true", help="fewer and smaller pairs")
    parser.add_argument("--sessions", type=Path, metavar="FILE", help="gru4rec: sessions of your own, an event log or one session a line, or a folder of them")
    parser.add_argument("--test", type=Path, metavar="FILE", help="gru4rec: the test sessions, in place of the last fifth of those of --sessions")
    parser.add_argument(
        "--set", action="append", metavar="data.KEY=VALUE", dest="overrides", help="gru4rec: an option of the reader of sessions, such as data.session=user"
    )
    parser.add_argument("--steps-at-most", type=int, metavar="N", help="gru4rec: training steps, of a longer file the last ones (default: 500000)")
    parser.add_argument("--only", metavar="NAME", help="published: one table or row of it")
    parser.add_argument("--out", type=Path, metavar="DIR", help="published: where its runs are kept (default: ~/.cache/paddlefl/published)")
    parser.add_argument("--rounds-at-most", type=int, metavar="N", help="published: how many rounds this call does (the next goes on); gru4rec: in all")
    parser.add_argument("--processes", type=int, metavar="N", help="published: training processes (default: one a core)")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object and nothing else")


def main(arguments: argparse.Namespace) -> None:
    from fl_core.errors import InputError

    if not (ROOT / "benchmarks").is_dir():
        raise InputError("Benchmarks are part of a checkout, not of the installed package; run `fl bench` from a checkout's .venv.")
    sys.path.insert(0, str(ROOT))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    catalogue = import_module("benchmarks.catalogue")
    if arguments.name == "all":
        print(import_module("benchmarks.everything").measure_all(arguments.quick))
        return
    options = {name: getattr(arguments, name) for name in OPTIONS if getattr(arguments, name) is not None}
    for name in options:
        if name not in signature(catalogue.load(arguments.name).measure).parameters:
            raise InputError(f"{OPTIONS[name]} is for another benchmark than '{arguments.name}'; leave it out.")
    result = catalogue.measure(arguments.name, arguments.quick, **options)
    print(json.dumps(result) if arguments.json else catalogue.as_text(result))
