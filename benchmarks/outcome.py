"""What a published experiment's run came to so far, read from its folder; and which of a row's runs counts."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fl_core.run_folder import Run, metrics_key

METRIC = "accuracy"
SETTLED_SHARE = 0.1


@dataclass(frozen=True)
class Outcome:
    """A run as far as it went: `accuracies` are [round, accuracy] of each evaluation after a round, `digest` is of a finished run's weights."""

    seed: int
    rounds: int
    rounds_max: int
    target: float | None
    accuracies: Sequence[tuple[int, float]]
    digest: str | None = None

    @property
    def reached(self) -> int | None:
        """The first round after which the target was measured, None where it was not."""
        return None if self.target is None else next((round for round, value in self.accuracies if value >= self.target), None)

    @property
    def settled(self) -> float | None:
        """The mean accuracy over the last tenth of the job's rounds; None before the run is there."""
        first = self.rounds_max - max(1, round(self.rounds_max * SETTLED_SHARE))
        last = [value for round, value in self.accuracies if round > first]
        return sum(last) / len(last) if self.rounds == self.rounds_max and last else None

    @property
    def best(self) -> float:
        """The highest accuracy so far."""
        return max((value for _, value in self.accuracies), default=0.0)

    @property
    def finished(self) -> bool:
        return self.digest is not None


def outcome_of(run: Run) -> Outcome:
    """A run's outcome, from the records of its rounds."""
    done = run.last_round() - 1
    found = [(round, record["metrics"]) for round in range(1, done + 1) if (record := run.find(metrics_key(round + 1))) is not None]
    accuracies = [(round, round_to(metrics[METRIC])) for round, metrics in found if METRIC in metrics]
    summary = run.find("summary.json")
    return Outcome(run.job.seed, done, run.job.rounds, run.job.stop_when.get(METRIC), accuracies, None if summary is None else summary["digest"])


def round_to(value: float) -> float:
    return round(value, 4)


def best_of(outcomes: Mapping[str, Outcome]) -> str | None:
    """The name of the run that counts: the fewest rounds to the target, or else the highest accuracy at the end, or so far; None of none."""
    if not outcomes:
        return None
    order = {name: (-(found.reached or 10**9), found.settled or 0.0, found.best) for name, found in outcomes.items()}
    return max(sorted(order), key=order.__getitem__)


def load_outcomes(path: Path) -> dict[str, Outcome]:
    """The stored outcomes by the run's name; none where there is no file."""
    if not path.exists():
        return {}
    stored = json.loads(path.read_text())
    return {name: Outcome(**{**fields, "accuracies": [(round, value) for round, value in fields["accuracies"]]}) for name, fields in stored.items()}


def save_outcomes(path: Path, outcomes: Mapping[str, Outcome]) -> None:
    """Writes the outcomes, a line each, in the order of their names."""
    lines = [f"{json.dumps(name)}: {json.dumps(asdict(outcomes[name]), separators=(',', ':'))}" for name in sorted(outcomes)]
    path.parent.mkdir(exist_ok=True)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def finished_of(outcomes: Iterable[Outcome]) -> int:
    return sum(found.finished for found in outcomes)
