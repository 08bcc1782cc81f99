"""The options --log and --log-to of the commands that train, and one ear for all that hear of a round."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fl_core.runner import OnRound, Progress

BACKENDS = ("visualdl", "tensorboard", "mlflow")


def add_log(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--log", action="append", default=[], choices=BACKENDS, help="write each round's metrics there too (repeatable; each needs its extra)")
    parser.add_argument("--log-to", default="", metavar="PLACE", help="the folder of the logs (default: log), or MLflow's tracking URI (default: MLflow's own)")


def check_log(arguments: argparse.Namespace) -> None:
    """InputError where the package of a log is missing, for commands that do much before the first round."""
    if arguments.log:
        from fl_core.logs import package_of

        for backend in arguments.log:
            package_of(backend)


@contextmanager
def logged(arguments: argparse.Namespace, on_round: "OnRound", name: str = "") -> Iterator["OnRound"]:
    """What tells `on_round` and every log that the user asked for; `name` is the run's in the logs (default: its own)."""
    if not arguments.log:  # not even their module is needed
        yield on_round
        return
    from fl_core.logs import log_to

    with ExitStack() as stack:
        told = [on_round, *(stack.enter_context(log_to(backend, arguments.log_to, name, _tell)) for backend in dict.fromkeys(arguments.log))]

        def tell_all(progress: "Progress") -> None:
            for one in told:
                one(progress)

        yield tell_all


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
