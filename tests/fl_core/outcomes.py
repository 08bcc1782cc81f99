"""Outcomes of runs that never ran, for tests of what is made of them."""

from collections.abc import Sequence

from fl_core.comparison import Combination
from fl_core.comparison_facts import Outcome, Status
from fl_core.job import parse_job

JOB = "format: 1\nname: wards\nprogram: fl_core.programs.digits:program\ndata: digits\nrounds: 3\n"


def an_outcome(
    accuracies: Sequence[float],
    *overrides: str,
    status: Status = "finished",
    why: str = "",
    sent: int | None = 100,
    clients: int = 2,
    simulated: float | None = None,
) -> Outcome:
    """A run whose accuracy after rounds 0, 1, … was this; each round took 2 s, or `simulated` on devices, and two clients trained on 50 examples."""
    job = parse_job(JOB, overrides)
    table = [{"round": 0, "metrics": {"accuracy": accuracies[0], "loss": 2.0}}] if accuracies else []
    for round, accuracy in enumerate(accuracies[1:], start=1):
        table.append({"round": round, "metrics": {"accuracy": accuracy, "loss": 1 / round}, "clients": clients, "left_out": 1, "examples": 50})
        table[-1] |= {} if simulated is None else {"simulated_seconds": simulated}
    seconds = dict.fromkeys(range(1, len(accuracies)), 2.0)
    received = None if sent is None else 200
    return Outcome(
        place=f"runs/{job.seed}", job=job, status=status, why=why, table=table, seconds=sum(seconds.values()), seconds_by_round=seconds,
        sent=sent, received=received, digest="ab" * 32,
    )  # fmt: skip


def a_combination(name: str, *outcomes: Outcome) -> Combination:
    return Combination({"strategy.name": name}, outcomes, {"strategy.name": name})
