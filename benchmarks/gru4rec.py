"""Gru4Rec by PaddleFL's protocol: all sessions in one place, FedAvg over four workers, each worker's quarter alone, and what needs no network beside them.

Every comparison leans against the federation: its last round counts, of the others the best moment on the test sessions.
Beside the best possible recall, central training counts by its last epoch.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import Benchmark, Goal, Measured
from benchmarks.next_item import baselines
from benchmarks.session_plan import ALONE_RATE, FEDERATED_RATE, RATE_FLOOR, TEST_STEPS_MAX, TRAINING_STEPS_MAX, WORKERS, items_of, plan, steps_of
from benchmarks.session_sets import GENERATED, describe_files, open_sets
from benchmarks.session_training import MRR, RECALL, say, train_all
from fl_core.datasets.generated_sessions import best_recall, make_world

ROUNDS = 20
# Shares of fewer steps are chance: of 100 a recall of .3 is not told from one of .4.
TEST_STEPS_MIN = 100


def measure(
    quick: bool,
    sessions: Path | None = None,
    test: Path | None = None,
    overrides: Sequence[str] = (),
    steps_at_most: int = TRAINING_STEPS_MAX,
    rounds_at_most: int = ROUNDS,
) -> Measured:
    """Measures on a file of sessions, or on generated ones whose best possible recall is known; quick: fewer sessions and rounds.

    Of a longer file the last sessions with `steps_at_most` training steps are taken, and an even sample of the test sessions, which are the file's last or
    those of a second file, `test`. `overrides` are options of the file's reader, such as data.session=user.
    """
    data: dict[str, Any] = GENERATED | ({"items": 200, "sessions": 5000} if quick else {})
    files = describe_files(sessions, test, overrides)
    if files:
        data = files | {"training_steps_max": steps_at_most, "test_steps_max": TEST_STEPS_MAX}
    sets = open_sets(data, overrides)
    whole, first = sets.whole, next(iter(sets.quarters.values()))
    planned, rounds = plan(whole, first), min(rounds_at_most, ROUNDS // 2 if quick else ROUNDS)
    settings = {
        "sessions": str(sessions) if sessions else "generated", **({"test": str(test)} if test else {}), **({"reader": list(overrides)} if overrides else {}),
        "items": items_of(whole), "training_rows": len(whole), "training_steps": steps_of(whole),
        "test_rows": len(sets.test), "test_steps": steps_of(sets.test), "workers": WORKERS, "rounds": rounds, "local_epochs": planned.round_epochs,
        "central_epochs": planned.central_epochs, "quarter_epochs": planned.quarter_epochs, "batch_size": planned.batch_size,
        "federated_rate": FEDERATED_RATE, "alone_rate": ALONE_RATE, "rate_floor": RATE_FLOOR, "program": planned.program,
    }  # fmt: skip
    say(", ".join(f"{name} {value}" for name, value in settings.items()))
    if settings["test_steps"] < TEST_STEPS_MIN:
        say(f"There are {settings['test_steps']} test steps; shares of fewer than {TEST_STEPS_MIN} are chance, so take more sessions or a larger test half.")
    federated, central, alone = train_all(sets, planned, rounds)
    best_central = max(found[RECALL] for found in central)
    best_quarter = max(found[RECALL] for quarter in alone for found in quarter)
    figures = {f"federated_{name}": federated[-1][name] for name in (RECALL, MRR)}
    figures |= {f"central_{name}": max(found[name] for found in central) for name in (RECALL, MRR)}
    figures |= {f"quarter_{place}_{RECALL}": max(found[RECALL] for found in quarter) for place, quarter in enumerate(alone)}
    for name, (recall, reciprocal_rank) in baselines(whole, sets.test, items_of(whole)).items():
        figures |= {f"{name}_{RECALL}": recall, f"{name}_{MRR}": reciprocal_rank}
    if not sessions:
        best = best_recall(make_world(data["items"], 20, 1, 0), sets.test.x)
        figures |= {f"best_possible_{RECALL}": best, "central_below_best": best - central[-1][RECALL]}
    beside = {"federated_to_central": best_central, "federated_to_quarter": best_quarter}
    ratios = {name: federated[-1][RECALL] / best for name, best in beside.items() if best > 0}
    if len(ratios) < len(beside):
        missing = [name for name in beside if name not in ratios]
        settings["left_out"] = f"{' and '.join(missing)}, because without the federation no item of the test sessions was found"
    return Measured(settings, {name: round(value, 4) for name, value in ratios.items()}, {name: round(value, 4) for name, value in figures.items()})


benchmark = Benchmark(
    "Four workers recommend together almost as well as if their sessions lay in one place, and better than any of them alone.",
    {"federated_to_central": Goal(least=0.95), "federated_to_quarter": Goal(least=1.1), "central_below_best": Goal(most=0.02)},
    measure,
)
