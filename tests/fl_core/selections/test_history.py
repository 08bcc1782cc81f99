"""What a selection sees of the rounds before: the clients' last figures, out of the close records."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fl_core import scheduler
from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategy import Draw, Seen
from tests.fl_core.harness import person, play, small_run, three

PEOPLE = [person("a", three(2, 0, 0)), person("b", three(4, 0, 0)), person("c", three(6, 0, 0))]


def test_history_holds_each_clients_last_accepted_figures() -> None:
    seen: list[Mapping[str, Seen]] = []

    def select(draw: Draw) -> Sequence[str]:
        seen.append(draw.history())
        return {1: ["a", "b"], 2: ["b", "c"], 3: ["a"]}[draw.round]

    run = small_run(replace(fed_avg(), select=select), PEOPLE, three(0, 0, 0))
    play(run, PEOPLE)  # losses 2 and 8; the weights move by (1 + 2) / 2
    play(run, PEOPLE, round=2, leave_out={"c": "ill"})  # b's loss is (4 - 1.5)**2 / 2
    scheduler.plan(run, 3)
    assert seen[0] == {}
    assert {name: (one.round, one.metrics["loss"]) for name, one in seen[1].items()} == {"a": (1, 2), "b": (1, 8)}
    assert {name: (one.round, one.metrics["loss"]) for name, one in seen[2].items()} == {"a": (1, 2), "b": (2, 3.125)}


def test_a_client_knows_its_worker() -> None:
    found: list[str] = []

    def select(draw: Draw) -> Sequence[str]:
        found.extend(draw.worker_of(client) for client in draw.clients)
        return []

    scheduler.plan(small_run(replace(fed_avg(), select=select), PEOPLE, three(0, 0, 0), workers=2), 1)
    assert found == ["worker-0", "worker-1", "worker-0"]
