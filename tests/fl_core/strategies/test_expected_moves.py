"""What a client or a worker sends that nobody asked for is left out, by its worker and, where that does not look, by the server."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from fl_core.run_folder import Run, close_key
from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategies.median import median
from fl_core.strategy import Strategy
from fl_core.types import Client, ClientUpdate, RoundState, Weights
from fl_core.worker import _Folded
from tests.fl_core.harness import numbers, person, play, small_run, three

PEOPLE = [person("a", three(2, 0, 0)), person("b", three(4, 0, 0)), person("c", three(6, 0, 0)), person("d", three(8, 0, 0))]
EXTRA = {"x": np.ones(3)}
NAN = {"b": np.array([np.nan], np.float32)}
LONG = {"b": np.ones(2, np.float32)}


def with_a_liar(strategy: Strategy, lie: Mapping[str, np.ndarray]) -> Strategy:
    """The strategy whose client a adds a lie to its move."""
    (exchange,) = strategy.exchanges

    def at_worker(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        update, kept = exchange.at_worker(client, state, memory, message)
        return (replace(update, move={**update.move, **lie}) if client.name == "a" else update), kept

    return replace(strategy, exchanges=(replace(exchange, at_worker=at_worker),))


def reasons(run: Run) -> dict[str, str]:
    return {entry["client"]: entry["reason"] for entry in run.record(close_key(1))["left_out"]}


@pytest.mark.parametrize("strategy", [fed_avg(), median()], ids=["sum", "list"])
@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (EXTRA, "its update has 'x', which nobody asked for"),
        (NAN, "'b' holds NaN or Inf"),
        (LONG, "its update of 'b' has shape (2,), not (1,)"),
    ],
    ids=["extra", "nan", "long"],
)
def test_a_worker_leaves_a_liar_out(strategy: Strategy, lie: Weights, reason: str) -> None:
    run = small_run(with_a_liar(strategy, lie), PEOPLE, three(0, 0, 0), workers=2)
    state = play(run, PEOPLE)
    assert reasons(run) == {"a": reason}
    assert numbers(state.weights) == [3, 0, 0]  # the mean, or the median, of 2, 3 and 4


@pytest.mark.parametrize(
    ("strategy", "lie", "reason"),
    [
        (median(), EXTRA, "a: its update has 'x', which nobody asked for"),
        (median(), NAN, "a: 'b' holds NaN or Inf"),
        (median(), LONG, "a: its update of 'b' has shape (2,), not (1,)"),
        (fed_avg(), EXTRA, "its update has 'x', which nobody asked for"),
    ],
    ids=["list-extra", "list-nan", "list-long", "sum-extra"],
)
def test_the_server_refuses_the_reply_of_a_worker_that_does_not_look(strategy: Strategy, lie: Weights, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Folded, "why_not", lambda folded, update: None)
    lying = with_a_liar(strategy, lie)
    run = small_run(lying, [PEOPLE[0], PEOPLE[1]], three(0, 0, 0), workers=2)
    state = play(run, PEOPLE)
    assert reasons(run) == {"a": reason}
    assert numbers(state.weights) == [2, 0, 0]
