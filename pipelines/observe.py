"""Prometheus metrics of a role on an optional port of its own."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fl_core.errors import InputError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from fl_core.runner import OnRound, Progress


def add_port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--metrics-port", type=int, metavar="PORT", help="serve Prometheus metrics on this port (default: none)")


class Gauges:
    """What a role shows: rounds, seconds of a round, examples, and the newest value of every metric. It has state because gauges are."""

    def __init__(self, role: str, registry: "CollectorRegistry") -> None:
        from prometheus_client import Counter, Gauge, Histogram

        labels = ["role"]
        self._round = Gauge("fl_round", "The round last closed.", labels, registry=registry).labels(role)
        self._seconds = Histogram("fl_round_seconds", "Seconds from one round's begin to its close.", labels, registry=registry).labels(role)
        self._examples = Counter("fl_examples", "Examples that accepted clients trained on.", labels, registry=registry).labels(role)
        self._metric = Gauge("fl_metric", "The newest evaluation.", [*labels, "metric"], registry=registry)
        self._role = role

    def show(self, progress: "Progress") -> None:
        self._round.set(progress.round)
        self._seconds.observe(progress.seconds)
        self._examples.inc(progress.examples)
        for name, value in progress.metrics.items():
            self._metric.labels(self._role, name).set(value)

    def both(self, on_round: "OnRound") -> "OnRound":
        """Shows the round here and there."""

        def show(progress: "Progress") -> None:
            self.show(progress)
            on_round(progress)

        return show

    def on_worker_round(self, round: int, seconds: float) -> None:
        self._round.set(round)
        self._seconds.observe(seconds)


@contextmanager
def observed(port: int | None, role: str) -> Iterator[Gauges]:
    """The role's gauges, served on the port while the role runs; InputError where the port is taken."""
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    gauges = Gauges(role, registry)
    if port is None:
        yield gauges
        return
    try:
        server, thread = start_http_server(port, registry=registry)
    except OSError as error:
        raise InputError(f"--metrics-port is {port}, which cannot be used: {error.strerror}.") from error
    try:
        yield gauges
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
