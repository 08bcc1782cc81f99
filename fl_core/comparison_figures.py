"""The figures of a comparison as text, a row a combination: the same columns for the terminal and the page."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fl_core.charts import duration, number, size
from fl_core.comparison import Combination, Comparison, Mean, best, bytes_received, bytes_sent, examples, final, mean_of, ranked, to_target
from fl_core.comparison_plan import head
from fl_core.curves import direction
from fl_core.program import Direction

METRICS_MAX = 4
NONE = "—"


@dataclass(frozen=True)
class Column:
    """A column: its head, a cell for each combination, and which of the figures is best where one is."""

    head: str
    cells: list[str]
    numeric: bool = True
    best: int | None = None


def columns(comparison: Comparison) -> list[Column]:
    """What the combinations are called by, then what came of them."""
    ones = comparison.combinations
    called = [Column(head(key, comparison.keys), [one.values.get(key, NONE) for one in ones], numeric=False) for key in comparison.keys]
    if not called:
        called = [Column("job", [one.name for one in ones], numeric=False)]
    return [*called, *_results(comparison), *_costs(comparison)]


def _results(comparison: Comparison) -> Iterator[Column]:
    ones, metrics = comparison.combinations, comparison.metrics
    if comparison.seeds > 1 or any(len(one.finished) < len(one.outcomes) for one in ones):
        yield Column("runs", [_count(one) for one in ones])
    for metric in metrics[:METRICS_MAX]:
        values = [final(one, metric) for one in ones]
        yield Column(metric, [spread(value) for value in values], best=_best(values, direction(metric, comparison.better)))
    if metrics and direction(metrics[0], comparison.better):
        found = [best(comparison, one) for one in ones]
        values = [pair[0] if pair else None for pair in found]
        yield Column(f"best {metrics[0]}", [spread(value) for value in values], best=_best(values, direction(metrics[0], comparison.better)))
        yield Column("in round", [spread(pair[1] if pair else None) for pair in found])
    if comparison.target:
        reached = [to_target(comparison, one) for one in ones]
        cells = [_reached(value, len(one.finished)) for value, one in zip(reached, ones, strict=True)]
        everyone = [value if value and value.count == len(one.finished) else None for value, one in zip(reached, ones, strict=True)]
        yield Column(f"rounds to {comparison.target.metric} {number(comparison.target.goal)}", cells, best=_best(everyone, "lower"))


def _costs(comparison: Comparison) -> Iterator[Column]:
    ones = comparison.combinations
    yield Column("examples", [_said(mean_of(map(examples, one.finished)), number) for one in ones])
    yield Column("sent", [_said(mean_of(map(bytes_sent, one.finished)), size) for one in ones])
    yield Column("received", [_said(mean_of(map(bytes_received, one.finished)), size) for one in ones])
    yield Column("time", [_said(mean_of(outcome.seconds for outcome in one.finished), duration) for one in ones])


def _count(one: Combination) -> str:
    """How many runs there are, and what became of those that are not finished."""
    failed = sum(outcome.status == "failed" for outcome in one.outcomes)
    open_ones = sum(outcome.status == "not finished" for outcome in one.outcomes)
    words = [str(len(one.finished)), *([f"{failed} failed"] if failed else []), *([f"{open_ones} not finished"] if open_ones else [])]
    return " + ".join(words)


def _reached(value: Mean | None, finished: int) -> str:
    if value is None:
        return "not reached" if finished else NONE
    return spread(value) + (f" ({value.count} of {finished})" if value.count < finished else "")


def _said(value: Mean | None, say: Callable[[float], str]) -> str:
    return NONE if value is None else say(value.mean)


def spread(value: Mean | None) -> str:
    """A mean and its standard deviation in as many decimals as give the mean four digits.

    >>> spread(Mean(0.92512, 0.00312, 0.9, 1.0, 3)), spread(Mean(12.0, None, 12.0, 12.0, 1)), spread(Mean(31.5, 2.25, 29.0, 34.0, 2))
    ('0.9251 ± 0.0031', '12', '31.5 ± 2.2')
    """
    if value is None:
        return NONE
    if value.deviation is None:
        return number(value.mean)
    whole = value.low == int(value.low) and value.high == int(value.high)
    decimals = 1 if whole else min(max(3 - math.floor(math.log10(max(abs(value.mean), 1e-9))), 0), 6)
    return f"{value.mean:.{decimals}f} ± {value.deviation:.{decimals}f}"


def _best(values: list[Mean | None], towards: Direction | None) -> int | None:
    """The place of the best of several figures, None where there is only one or no way is better."""
    known = [(value.mean, place) for place, value in enumerate(values) if value is not None]
    if towards is None or len(known) < 2:
        return None
    return (max if towards == "higher" else min)(known, key=lambda pair: pair[0])[1]


def verdict(comparison: Comparison) -> str:
    """Who ends best, and whether that is more than the seeds' spread; empty where nobody can tell."""
    ended = ranked(comparison)
    if len(ended) < 2:
        return ""
    metric, towards = comparison.metrics[0], direction(comparison.metrics[0], comparison.better)
    (first, winner), (second, other) = ended[:2]
    said = f"{'Highest' if towards == 'higher' else 'Lowest'} {metric}: {winner.name}, {spread(first)}; next is {other.name}, {spread(second)}."
    if first.deviation is None or second.deviation is None:
        return f"{said} One seed each: --seeds 3 shows how much of that is chance."
    apart = abs(first.mean - second.mean) > first.deviation + second.deviation
    return said + (" They are further apart than their spreads." if apart else " Their spreads overlap.")
