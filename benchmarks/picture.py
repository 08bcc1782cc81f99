"""A benchmark's ratios as bars beside their goals, as an SVG that stands by itself."""

from collections.abc import Mapping
from html import escape
from typing import Any

from benchmarks.harness import Goal

WIDTH, ROW, LEFT, RIGHT = 640, 34, 190, 90


def picture(result: Mapping[str, Any], goals: Mapping[str, Goal]) -> str:
    """A bar for each goal, as long as what was found is to the goal; the line is the goal."""
    values = {**result["figures"], **result["ratios"]}
    drawn = {name: goal for name, goal in goals.items() if name in values}
    rows = [_row(i, name, values[name], goal) for i, (name, goal) in enumerate(drawn.items())]
    height = ROW * len(rows) + 40
    line = LEFT + (WIDTH - LEFT - RIGHT) / 2
    title = f"<title>fl bench {escape(result['name'])}</title>"
    mark = f'<path d="M{line:g} 24V{height - 8}" stroke="#555" stroke-dasharray="4 3"/><text x="{line:g}" y="18" text-anchor="middle">goal</text>'
    style = 'font-family="sans-serif" font-size="13" fill="#333"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {style} role="img">{title}{"".join(rows)}{mark}</svg>\n'


def _row(place: int, name: str, value: float, goal: Goal) -> str:
    bound = goal.least if goal.least is not None else goal.most
    share = value / bound if bound else float(value > 0) * 2
    length = min(share, 2.0) / 2 * (WIDTH - LEFT - RIGHT)
    top = 30 + place * ROW
    colour = "#2a7d4f" if goal.met(value) else "#b3402e"
    bar = f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="20" fill="{colour}"/>'
    return f'<text x="{LEFT - 8}" y="{top + 15}" text-anchor="end">{escape(name)}</text>{bar}<text x="{LEFT + length + 6:.1f}" y="{top + 15}">{value:g}</text>'
