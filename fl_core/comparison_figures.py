"""The figures of a comparison as text, a row a combination: the same columns for the terminal and the page."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fl_core.charts import duration, number, size
from fl_core.comparison import Combination, Comparison, Mean, best, bytes_to_target, final, mean_of, ranked, simulated_to_target, to_target
from fl_core.comparison_facts import bytes_received, bytes_sent, examples, simulated_seconds
from fl_core.comparison_plan import head
from fl_core.curves import direction
from fl_core.program import Direction

METRICS_MAX, DECIMALS_MAX = 4, 6
NONE = "—"


@dataclass(frozen=True)
class Column:
    """A column: its head, a cell for each combination, and which of the figures is best where one is."""

    head: str
    cells: list[str]
    numeric: bool = True
    best: int | None = None


def called(comparison: Comparison) -> list[Column]:
    """What the combinations are called by."""
    ones = comparison.combinations
    keys = [Column(head(key, comparison.keys), [one.values.get(key, NONE) for one in ones], numeric=False) for key in comparison.keys]
    return keys or [Column("job", [one.name for one in ones], numeric=False)]


def results(comparison: Comparison) -> list[Column]:
    """What came of the combinations."""
    ones, metrics, better = comparison.combinations, comparison.metrics, comparison.better
    shown = []
    if len({len(one.finished) for one in ones}) > 1 or any(len(one.finished) < len(one.outcomes) for one in ones):
        shown.append(Column("runs", [_count(one) for one in ones]))
    for metric in metrics[:METRICS_MAX]:
        values = [final(one, metric) for one in ones]
        shown.append(Column(metric, [spread(value) for value in values], best=_best(values, direction(metric, better))))
    if metrics and (towards := direction(metrics[0], better)):
        found = [best(comparison, one) for one in ones]
        cells = [f"{spread(pair[0])} ({pair[1].mean:.0f})" if pair else NONE for pair in found]
        column = Column("best (in round)", cells, best=_best([pair[0] if pair else None for pair in found], towards))
        shown.insert(len(shown) - len(metrics[:METRICS_MAX]) + 1, column)
    return shown


def costs(comparison: Comparison) -> list[Column]:
    """What they took: to the target, where there is one, and in all."""
    ones, shown = comparison.combinations, list[Column]()
    if target := comparison.target:
        goal = f"to {target.metric} {number(target.goal)}"
        reached, sent = [to_target(comparison, one) for one in ones], [bytes_to_target(comparison, one) for one in ones]
        shown.append(_to_target(f"rounds {goal}", ones, reached, reached, rounds))
        shown.append(_to_target(f"sent {goal}", ones, reached, sent, lambda value: size(value.mean)))
        if comparison.is_simulated:
            simulated = [simulated_to_target(comparison, one) for one in ones]
            shown.append(_to_target(f"simulated {goal}", ones, reached, simulated, lambda value: duration(value.mean)))
    shown.append(Column("examples", [_said(mean_of(map(examples, one.finished)), number) for one in ones]))
    shown.append(Column("sent", [_said(mean_of(map(bytes_sent, one.finished)), size) for one in ones]))
    shown.append(Column("received", [_said(mean_of(map(bytes_received, one.finished)), size) for one in ones]))
    shown.append(Column("time", [_said(mean_of(outcome.seconds for outcome in one.finished), duration) for one in ones]))
    if comparison.is_simulated:
        shown.append(Column("simulated", [_said(mean_of(map(simulated_seconds, one.finished)), duration) for one in ones]))
    return shown


def caption(comparison: Comparison) -> str:
    """What the figures are means of."""
    return f"Means over {comparison.seeds_told} ± their standard deviation." if comparison.seeds > 1 else "One run each."


def _count(one: Combination) -> str:
    """How many runs there are, and what became of those that are not finished."""
    failed = sum(outcome.status == "failed" for outcome in one.outcomes)
    open_ones = sum(outcome.status == "not finished" for outcome in one.outcomes)
    words = [str(len(one.finished)), *([f"{failed} failed"] if failed else []), *([f"{open_ones} not finished"] if open_ones else [])]
    return " + ".join(words)


def _to_target(
    name: str, ones: Sequence[Combination], reached: Sequence[Mean | None], values: Sequence[Mean | None], say: Callable[[Mean], str]
) -> Column:  # fmt: skip
    """A column of what it took to the target, of those who `reached` it as far as that is known; best is the least of those that got there with every seed."""
    whole = [value if value and value.count == len(one.finished) else None for value, one in zip(values, ones, strict=True)]
    cells = [
        NONE if value is None and got else _reached(value, len(one.finished), say) for one, got, value in zip(ones, reached, values, strict=True)
    ]  # fmt: skip
    return Column(name, cells, best=_best(whole, "lower"))


def _reached(value: Mean | None, finished: int, say: Callable[[Mean], str]) -> str:
    if value is None:
        return "not reached" if finished else NONE
    return say(value) + (f" ({value.count} of {finished})" if value.count < finished else "")


def _said(value: Mean | None, say: Callable[[float], str]) -> str:
    return NONE if value is None else say(value.mean)


def spread(value: Mean | None) -> str:
    """A mean and its standard deviation, in three digits or as many more as it takes to see that it deviates.

    >>> spread(Mean(0.92512, 0.00312, 0.9, 1.0, 3)), spread(Mean(12.0, None, 12.0, 12.0, 1)), spread(Mean(31.5, 2.25, 29.0, 34.0, 2))
    ('0.925 ± 0.003', '12', '31.5 ± 2.2')
    """
    if value is None:
        return NONE
    if value.deviation is None:
        return number(value.mean)
    digits = [2 - _power(value.mean), -_power(value.deviation) if value.deviation else 0]
    decimals = min(max(*digits, 0), DECIMALS_MAX)
    return f"{value.mean:.{decimals}f} ± {value.deviation:.{decimals}f}"


def rounds(value: Mean) -> str:
    """A number of rounds and its standard deviation.

    >>> rounds(Mean(8.0, 3.61, 5.0, 12.0, 3)), rounds(Mean(8.0, None, 8.0, 8.0, 1))
    ('8.0 ± 3.6', '8')
    """
    return number(value.mean) if value.deviation is None else f"{value.mean:.1f} ± {value.deviation:.1f}"


def _power(value: float) -> int:
    """The power of ten of a number's first digit."""
    return math.floor(math.log10(max(abs(value), 10.0**-DECIMALS_MAX))) if value else 0


def _best(values: list[Mean | None], towards: Direction | None) -> int | None:
    """The place of the best of several figures, None where no way is better or two are best."""
    known = [value.mean for value in values if value is not None]
    if towards is None or len(values) < 2 or not known:
        return None
    first = (max if towards == "higher" else min)(known)
    places = [place for place, value in enumerate(values) if value is not None and value.mean == first]
    return places[0] if len(places) == 1 else None


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
