"""The command `fl`: finds the command's module, and turns errors into one sentence and an exit code.

A command is a module of `pipelines.commands` with `add_arguments(parser)` and `main(arguments)`. Only the one that is called is imported, so that
`fl --help` is there at once. One that can be gone on with after Ctrl-C says how in `arguments.way_on`.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "run": "train a job to its end",
    "resume": "go on with a run where it stopped",
    "serve": "lead a federation whose workers run elsewhere",
    "work": "take part in a federation as a worker",
    "status": "show where a run stands and who is waited for",
    "verify": "check signatures, digests and sums of a run",
    "keys": "make a role's private key",
    "store": "write the store policy of each role",
    "data": "make, prepare, check and show data",
    "models": "list, show, promote, roll back and export published models",
    "submit": "start a job on Kubeflow Pipelines, or a worker of it in an organisation's own cluster",
    "schedule": "train a job again and again, and publish what passes its gate",
    "compare": "run or read several jobs and show them side by side",
    "report": "write a run's report page and say where it is",
    "compile": "compile a job to a pipeline for Kubeflow",
    "lint": "say what a Kubeflow backend would choke on in a compiled pipeline",
    "doctor": "say what is missing on this machine",
    "bench": "measure a claim about speed on this machine",
}
INTERRUPTED = 130


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command; gives the exit code: 0 done, 2 wrong input, 3 refused by policy, 1 anything else."""
    words = list(sys.argv[1:] if words is None else words)
    # argparse checks the name; the module is needed only for the command's own arguments.
    parser = _parser(words[0] if words else "")
    arguments = parser.parse_args(words)
    try:
        code: int | None = import_module(f"pipelines.commands.{arguments.command}").main(arguments)
        sys.stdout.flush()
        return code or 0
    except KeyboardInterrupt:
        way_on = getattr(arguments, "way_on", "")
        print(f"Interrupted; what is done stays{way_on and f', and {way_on}'}.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        return _explain(error)


def _explain(error: Exception) -> int:
    from fl_core.errors import FederationError

    if os.environ.get("FL_DEBUG"):
        raise error
    if isinstance(error, FederationError):
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{type(error).__name__}: {error} (set FL_DEBUG=1 for the whole story.)", file=sys.stderr)
    return 1


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fl", description="Federated learning with PaddlePaddle: one job file, the same bits everywhere.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, help_text in COMMANDS.items():
        sub = commands.add_parser(name, help=help_text, description=f"{help_text[0].upper()}{help_text[1:]}.")
        if name == command:
            import_module(f"pipelines.commands.{name}").add_arguments(sub)
    return parser
