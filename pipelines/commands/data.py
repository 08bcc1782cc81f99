"""`fl data leaf synthetic|stats`: makes and counts LEAF's data."""

import argparse
import json
from collections.abc import Callable
from typing import Any

Found = tuple[dict[str, Any], list[str]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    leaf = actions.add_parser("leaf", help="LEAF's data: make, sample, split and count them", description="LEAF's data: make, sample, split and count them.")
    commands = leaf.add_subparsers(dest="leaf_action", required=True, metavar="ACTION")
    made = _add(commands, "synthetic", _synthetic, "make LEAF's synthetic set")
    made.add_argument("--users", type=int, default=1000, metavar="N", help="how many users (default: %(default)s)")
    made.add_argument("--classes", type=int, default=5, metavar="N", help="how many classes (default: %(default)s)")
    made.add_argument("--features", type=int, default=60, metavar="N", help="how many numbers a sample has (default: %(default)s)")
    made.add_argument("--seed", type=int, default=931231, metavar="N", help="seed of all draws (default: LEAF's, %(default)s)")
    _add_out(made)
    stats = _add(commands, "stats", _stats, "count users and samples, and say how uneven they are")
    stats.add_argument("folder", metavar="DIR", help="a folder of LEAF files, or one file")


def _add(commands: Any, name: str, function: Callable[[argparse.Namespace], Found], help_text: str) -> argparse.ArgumentParser:
    sub: argparse.ArgumentParser = commands.add_parser(name, help=help_text, description=f"{help_text[0].upper()}{help_text[1:]}.")
    sub.set_defaults(function=function)
    sub.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return sub


def _add_out(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--out", required=True, metavar="DIR", help="the folder to write to")


def main(arguments: argparse.Namespace) -> None:
    found, lines = arguments.function(arguments)
    print(json.dumps(found) if arguments.json else "\n".join(lines))


def _synthetic(arguments: argparse.Namespace) -> Found:
    from pathlib import Path

    from fl_core.errors import InputError
    from fl_core.leaf.files import write_file
    from fl_core.leaf.stats import count_samples
    from fl_core.leaf.synthetic import make_users

    for name, least, most in (("users", 1, 1_000_000), ("classes", 2, 10_000), ("features", 1, 10_000), ("seed", 0, 2**32 - 1)):
        if not least <= getattr(arguments, name) <= most:
            raise InputError(f"--{name} is {getattr(arguments, name)}; it is a number from {least} to {most}.")
    path = Path(arguments.out) / "all_data" / "all_data.json"
    if path.exists():
        raise InputError(f"'{path}' exists already; name another folder.")
    users = make_users(arguments.users, arguments.seed, arguments.classes, arguments.features)
    write_file(path, users)
    found = {"file": str(path), **count_samples([len(data["y"]) for data in users.values()])}
    return found, [f"{found['users']} users with {found['samples']} samples were written to {path}."]


def _stats(arguments: argparse.Namespace) -> Found:
    from pathlib import Path

    from fl_core.leaf.stats import count_samples, user_sizes

    found = count_samples(user_sizes(Path(arguments.folder)))
    return found, [f"{name:<10} {value:.2f}" if isinstance(value, float) else f"{name:<10} {value}" for name, value in found.items()]
