"""Metrics over rounds, as a run's rows hold them: which there are, which direction is better, where the best value lies."""

from collections.abc import Mapping, Sequence

from fl_core.codec import Record
from fl_core.program import Direction, direction_of

PERCENTILES = (10, 50, 90)
HELD_OUT = "_held_out"
_FIRST: Mapping[Direction | None, int] = {"higher": 0, "lower": 1, None: 2}


def curves_of(table: Sequence[Record], better: Mapping[str, Direction]) -> dict[str, dict[float, float]]:
    """Each metric over rounds, without its percentiles; those with a direction and 'higher' first."""
    found: dict[str, dict[float, float]] = {}
    for row in table:
        for name, value in row["metrics"].items():
            if not any(name.endswith(f"_p{p}") for p in PERCENTILES) and not name.endswith(HELD_OUT):
                found.setdefault(name, {})[float(row["round"])] = value
    return dict(sorted(found.items(), key=lambda item: (_FIRST[direction(item[0], better)], item[0])))


def direction(metric: str, better: Mapping[str, Direction]) -> Direction | None:
    """Whether more or less of a metric is better, as the program or the metric's name says; None where neither does."""
    return better.get(metric) or direction_of(metric)


def best_round(points: Mapping[float, float], towards: Direction) -> float:
    """The first round with the best value."""
    return (max if towards == "higher" else min)(points, key=lambda round: points[round])


def is_reached(value: float, goal: float, towards: Direction) -> bool:
    return value >= goal if towards == "higher" else value <= goal
