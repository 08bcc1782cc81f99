from dataclasses import replace

from fl_core.strategies.fed_sgd import fed_sgd
from fl_core.types import Client, Correction, LocalWork, Trained, Weights
from tests.fl_core.harness import numbers, person, play, small_run, three


def watched(client: Client, seen: list[LocalWork]) -> Client:
    def fit(weights: Weights, work: LocalWork, correction: Correction | None = None) -> Trained:
        seen.append(work)
        return client.fit(weights, work, correction)

    return replace(client, fit=fit)


def test_one_round_by_hand() -> None:
    # a moves by 0.5 of 1, b by 0.5 of 3 and has three times the examples: (1 * 0.5 + 3 * 1.5) / 4 = 1.25
    people = [person("a", three(1, 0, -1), examples=1), person("b", three(3, 0, -3), examples=3)]
    assert numbers(play(small_run(fed_sgd(), people, three(0, 0, 0)), people).weights) == [1.25, 0, -1.25]


def test_a_client_takes_one_step_on_all_its_examples() -> None:
    seen: list[LocalWork] = []
    people = [watched(person("a", three(1, 0, 0), examples=600), seen)]
    play(small_run(fed_sgd(), people, three(0, 0, 0)), people)
    assert seen == [LocalWork(steps=1, batch_size=600, shuffle=False)]
