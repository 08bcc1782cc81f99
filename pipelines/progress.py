"""What a person sees of a run: a bar while it goes on (stderr), the result when it is done (stdout)."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fl_core.runner import OnRound, Progress, Result

PLAIN_LINES_SECONDS = 2.0
SHOWN_METRICS = 3


@contextmanager
def show_rounds(name: str, rounds: int) -> Iterator["OnRound"]:
    """A bar with round, metrics, examples a second and time left; plain lines where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield _plain_lines(name)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    columns = (
        SpinnerColumn(), TextColumn("[bold]{task.description}"), BarColumn(bar_width=28), MofNCompleteColumn(), TextColumn("{task.fields[facts]}"),
        TimeRemainingColumn(compact=True),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=rounds, facts="starting")
        yield lambda progress: bar.update(task, completed=progress.round, facts=_facts(progress))


def _plain_lines(name: str) -> "OnRound":
    """A line a round, at most one every PLAIN_LINES_SECONDS, and the last."""
    shown = 0.0

    def on_round(progress: "Progress") -> None:
        nonlocal shown
        if progress.round == progress.rounds or time.monotonic() - shown >= PLAIN_LINES_SECONDS:
            shown = time.monotonic()
            print(f"{name} {progress.round}/{progress.rounds} {_facts(progress)}", file=sys.stderr, flush=True)

    return on_round


def _facts(progress: "Progress") -> str:
    names = sorted(progress.metrics, key=lambda name: (name not in ("loss", "accuracy"), name))[:SHOWN_METRICS]
    words = [f"{name} {progress.metrics[name]:.4g}" for name in names]
    measured = [name for name in names if name != "train_loss"]
    if measured and progress.measured != progress.round:
        words.insert(names.index(measured[-1]) + 1, f"(of round {progress.measured})")
    if progress.examples:
        words.append(f"{progress.examples / max(progress.seconds, 1e-9):,.0f} examples/s")
    return " ".join(words)


def said_of_publication(published: Mapping[str, Any]) -> str:
    """What became of the model in the registry, on one line."""
    version = "" if published["version"] is None else f"/{published['version']}"
    return f"{published['model']}{version} {published['decision']}: {published['why']}"


def show(result: "Result", *, as_json: bool) -> None:
    """The summary, for a person or as one JSON object."""
    summary = result.summary
    if as_json:
        print(json.dumps({**summary, "report": result.report}))
        return
    metrics = "  ".join(f"{name} {value:.4f}" for name, value in summary["metrics"].items())
    print(f"{summary['name']}: {summary['rounds']} rounds in {summary['seconds']:.1f} s, {summary['examples']:,} examples, {len(summary['failures'])} left out")
    print(f"  {metrics}")
    print(f"  digest  {summary['digest']}")
    if "published" in summary:
        print(f"  model   {said_of_publication(summary['published'])}")
    print(f"  run     {result.run.store.uri.removeprefix('file://')}")
    print(f"  report  {result.report}")
