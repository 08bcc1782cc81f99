"""Charts as SVG: lines with bands, stacked bars, a heat map. Colours are classes of the page's style sheet, so that one chart serves light and dark.

What is hovered over carries its values in a `<title>`, which browsers show without any script. Every chart has a bounded size, however long its input.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from fl_core.markup import Html, join, tag

POINTS_MAX = 400
HOVERS_MAX = 100
COLOURS = 6
LINES_MAX = 2 * COLOURS
LINE_WIDTH, LINE_HEIGHT = 500, 260
WIDE_WIDTH, BARS_HEIGHT = 1040, 230
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 22, 38
CELL_WIDTH_MAX = BAR_WIDTH_MAX = 56.0
LABEL_LETTERS_MAX = 22


@dataclass(frozen=True)
class Series:
    """A line: a name, and y over x in rising order of x; where x is missing, the line goes on to the next."""

    name: str
    points: Mapping[float, float]


@dataclass(frozen=True)
class Band:
    """A line with a band around it: (low, middle, high) over x."""

    name: str
    points: Mapping[float, tuple[float, float, float]]


@dataclass(frozen=True)
class HeatMap:
    """Rows of cells. `cells[row][column]` is a level from 0 to 5, `words` says what a level means; a mark lies over its cell and has a text of its own."""

    rows: Sequence[str]
    row_titles: Sequence[str]
    columns: Sequence[str]
    ticks: Mapping[int, str]
    cells: Sequence[Sequence[int]]
    words: Sequence[str]
    marks: Mapping[tuple[int, int], str] = field(default_factory=dict)


def number(value: float) -> str:
    """At most four significant digits, thousands apart.

    >>> number(0.91643), number(28760.0), number(1e-7)
    ('0.9164', '28 760', '1e-07')
    """
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace(",", " ")
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}".replace(",", " ")


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best.

    >>> duration(0.0123), duration(1.766), duration(192), duration(7290)
    ('12 ms', '1.77 s', '3 min 12 s', '2 h 1 min')
    """
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 or seconds == 0 else "< 1 ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: float) -> str:
    """Bytes in the unit that reads best, a thousand to the next.

    >>> size(999), size(28_760), size(1_300_000)
    ('999 B', '28.8 kB', '1.3 MB')
    """
    power = min(max(len(str(int(count))) - 1, 0) // 3, 4)
    return f"{number(float(f'{count / 1000**power:.3g}'))} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


@dataclass(frozen=True)
class Axis:
    """What lies along x: its name, how a value of it is said, and whether its ticks are whole numbers."""

    name: str
    said: Callable[[float], str] = number
    whole: bool = True


ROUNDS = Axis("round")


def nice_ticks(low: float, high: float, count: int = 5, *, whole: bool = False) -> list[float]:
    """About `count` round numbers from `low` to `high`; of whole numbers only where asked.

    >>> nice_ticks(0.1, 0.93), nice_ticks(0, 7, whole=True)
    ([0.2, 0.4, 0.6, 0.8], [0.0, 2.0, 4.0, 6.0])
    """
    if high <= low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(nice * power for nice in (1, 2, 5, 10) if nice * power >= raw * 0.85)
    step = max(1.0, step) if whole else step
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def evenly(count: int, limit: int) -> list[int]:
    """At most `limit` places out of `count`, evenly spread, the first and the last among them."""
    if count <= limit:
        return list(range(count))
    return sorted({round(i * (count - 1) / (limit - 1)) for i in range(limit)})


def extremes(points: Sequence[tuple[float, float]], limit: int = POINTS_MAX) -> list[tuple[float, float]]:
    """At most `limit` of the points: of each stretch its lowest and highest, so that no peak is lost, and the first and last of all."""
    if len(points) <= limit:
        return list(points)
    stretches = (limit - 2) // 2
    kept = {points[0], points[-1]}
    for i in range(stretches):
        stretch = points[i * len(points) // stretches : (i + 1) * len(points) // stretches]
        kept |= {min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])}
    return sorted(kept)


@dataclass(frozen=True)
class _Scale:
    """Maps a range of values to a range of the drawing."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


def _scale(values: Iterable[float], start: float, stop: float, pad: float = 0.0) -> _Scale:
    there = list(values) or [0.0, 1.0]
    low, high = min(there), max(there)
    if low == high:
        low, high = low - (abs(low) or 1.0) * 0.5, high + (abs(high) or 1.0) * 0.5
    margin = (high - low) * pad
    return _Scale(low - margin, high + margin, start, stop)


def line_chart(
    series: Sequence[Series], *, bands: Sequence[Band] = (), title: str, x: Axis = ROUNDS, y: str = "", goal: float | None = None,
    keyed: bool = True, window: tuple[float, float] | None = None,
) -> Html:  # fmt: skip
    """Lines, bands and, where given, a goal, over one pair of axes, with a legend where there is more than one thing to tell apart and it is `keyed`.

    `window` is the range of y that is shown, by default all; what lies outside is cut off at the edge.
    """
    xs = sorted({at for one in series for at in one.points} | {at for band in bands for at in band.points})
    ys = [v for s in series for v in s.points.values()] + [v for b in bands for three in b.points.values() for v in three]
    across = _scale(xs, LEFT, LINE_WIDTH - RIGHT)
    up = _scale([*(window or ys), *([] if goal is None else [goal])], LINE_HEIGHT - BOTTOM, TOP, pad=0.04)
    named = nice_ticks(across.low, across.high, 6, whole=x.whole) if len(xs) > 1 else xs
    drawn = [_axes(up, LINE_WIDTH, LINE_HEIGHT, x.name, y, [(across(at), x.said(at)) for at in named])]
    if goal is not None:
        drawn.append(_path([(LEFT, up(goal)), (LINE_WIDTH - RIGHT, up(goal))], "goal"))
        drawn.append(tag("text", f"goal {number(goal)}", x=LEFT + 4, y=_short(up(goal) + (13 if up(goal) < TOP + 14 else -5)), class_="goal-text"))
    names = [one.name for one in series] + [band.name for band in bands]
    lines = [_band(band, across, up, place) for place, band in enumerate(bands, start=len(series))]
    lines += [_line(one.points, across, up, place) for place, one in enumerate(series)]
    drawn += _cut(lines, f"plot-{crc32(title.encode())}") if window else lines
    drawn.append(_hovers(xs, series, bands, across, up, x))
    return _figure(drawn, LINE_WIDTH, LINE_HEIGHT, title, legend(names) if keyed and len(names) > 1 else Html(""))


def stacked_bars(
    bars: Sequence[tuple[str, Mapping[str, float]]], parts: Sequence[str], *, title: str, x: str, y: str, ticks: Mapping[int, str], unit: str = ""
) -> Html:
    """A bar for each (title, {part: height}), its parts one upon the other in the order of `parts`; `ticks` names some bars by place."""
    heights = [sum(values.get(part, 0.0) for part in parts) for _, values in bars]
    up = _scale([0.0, *heights, 1e-9], BARS_HEIGHT - BOTTOM, TOP)
    step = min((WIDE_WIDTH - LEFT - RIGHT) / max(len(bars), 1), BAR_WIDTH_MAX)
    gap = min(step * 0.25, 3.0)
    marked = [(LEFT + (place + 0.5) * step, text) for place, text in ticks.items()]
    drawn = [_axes(up, max(LEFT + len(bars) * step, 240) + RIGHT, BARS_HEIGHT, x, y, marked)]
    for place, (name, values) in enumerate(bars):
        left, top, rects = LEFT + place * step, BARS_HEIGHT - BOTTOM + 0.0, []
        for colour, part in enumerate(parts):
            height = (BARS_HEIGHT - BOTTOM) - up(values.get(part, 0.0))
            top -= height
            if height > 0.05:
                rects.append(_box(left + gap / 2, top, step - gap, height, f"f{colour % COLOURS}"))
        said = "\n".join([name, *(f"{part}  {number(values[part])}{unit}" for part in parts if part in values)])
        drawn.append(tag("g", tag("title", said), _box(left, TOP, step, BARS_HEIGHT - BOTTOM - TOP, "hit"), *rects, class_="bar"))
    return _figure(drawn, WIDE_WIDTH, BARS_HEIGHT, title, legend(parts, swatch="box") if len(parts) > 1 else Html(""), wide=True)


def heat_map(heat: HeatMap, *, title: str, x: str) -> Html:
    """Cells in five shades, marks over them, each row's and mark's text on hover."""
    left = 14 + 6.4 * max(map(len, map(_clip, heat.rows)), default=0)
    high = 22 if len(heat.rows) <= 24 else 14
    step = min((WIDE_WIDTH - left - RIGHT) / max(len(heat.columns), 1), CELL_WIDTH_MAX)
    gap = 2.0 if step >= 8 else 0.5 if step >= 4 else 0.0
    bottom = 8 + high * len(heat.rows)
    drawn = []
    for level in range(6):
        boxes = (
            f"M{_short(left + c * step)} {8 + r * high}h{_short(step - gap)}v{high - 2}h-{_short(step - gap)}z"
            for r, row in enumerate(heat.cells) for c, at in enumerate(row) if at == level
        )  # fmt: skip
        if path := "".join(boxes):
            drawn.append(tag("path", d=path, class_=f"l{level}"))
    for r, name in enumerate(heat.rows):
        drawn.append(tag("text", _clip(name), x=_short(left - 8), y=8 + r * high + high / 2 + 3, class_="end small" if high < 20 else "end"))
        cells = "".join(map(str, heat.cells[r]))
        hit = _box(left, 8 + r * high, step * len(heat.columns), high, "hit", data_cells=cells)
        drawn.append(tag("g", tag("title", heat.row_titles[r]), hit))
    for (r, c), text in heat.marks.items():
        whole = heat.cells[r][c] == 0
        inset = 0.0 if whole else max(min((step - gap) * 0.28, (step - gap - 3) / 2), 0.0)
        down = 0.0 if whole else (high - 2) * 0.28
        box = _box(left + c * step + inset, 8 + r * high + down, step - gap - 2 * inset, high - 2 - 2 * down, "mark")
        drawn.append(tag("g", tag("title", text), box))
    drawn += [tag("text", text, x=_short(left + (c + 0.5) * step), y=bottom + 14, class_="middle") for c, text in heat.ticks.items()]
    drawn.append(tag("text", x, x=_short(left + step * len(heat.columns)), y=bottom + 30, class_="end label"))
    return _figure(drawn, WIDE_WIDTH, bottom + 36, title, Html(""), wide=True, data_columns="|".join(heat.columns), data_words="|".join(heat.words))


def legend(names: Sequence[str], swatch: str = "line") -> Html:
    """What colour stands for what."""
    items = []
    for place, name in enumerate(names):
        drawn = tag("path", d="M1 6H25", class_=_stroke(place)) if swatch == "line" else _box(7, 1, 11, 11, f"f{place % COLOURS}")
        items.append(tag("li", tag("svg", drawn, viewBox="0 0 26 12", width=26, height=12, aria_hidden="true"), name))
    return tag("ul", *items, class_="legend")


def _axes(up: _Scale, width: float, height: float, x: str, y: str, marked: Sequence[tuple[float, str]]) -> Html:
    floor = height - BOTTOM
    parts = [tag("text", y, x=4, y=11, class_="label")]
    for value in nice_ticks(up.low, up.high):
        parts.append(tag("path", d=f"M{LEFT} {_short(up(value))}H{_short(width - RIGHT)}", class_="grid"))
        parts.append(tag("text", number(value), x=LEFT - 7, y=_short(up(value) + 4), class_="end"))
    for at, text in marked:
        parts.append(tag("path", d=f"M{_short(at)} {floor}v4", class_="axis"))
        parts.append(tag("text", text, x=_short(at), y=floor + 17, class_="middle"))
    parts.append(tag("path", d=f"M{LEFT} {floor}H{_short(width - RIGHT)}", class_="axis"))
    parts.append(tag("text", x, x=_short(width - RIGHT), y=height - 4, class_="end label"))
    return join(parts)


def _cut(drawn: Sequence[Html], name: str) -> list[Html]:
    """What was drawn, cut off at the edges of the plot; the name is the page's own for these edges."""
    edges = tag("clipPath", _box(LEFT, TOP, LINE_WIDTH - LEFT - RIGHT, LINE_HEIGHT - BOTTOM - TOP, "hit"), id=name)
    return [edges, tag("g", *drawn, clip_path=f"url(#{name})")]


def _stroke(place: int) -> str:
    """The class of the line at a place: a colour, and beyond the last colour the same ones in dots."""
    return f"s{place % COLOURS}" + (" dotted" if place // COLOURS % 2 else "")


def _line(points: Mapping[float, float], across: _Scale, up: _Scale, place: int) -> Html:
    kept = extremes(sorted(points.items()))
    path = _path([(across(a), up(b)) for a, b in kept], _stroke(place))
    if len(kept) == 1:
        path = join([path, tag("circle", cx=_short(across(kept[0][0])), cy=_short(up(kept[0][1])), r=3.5, class_=f"f{place % COLOURS}")])
    return path


def _band(band: Band, across: _Scale, up: _Scale, place: int) -> Html:
    xs = sorted(band.points)
    kept = [xs[i] for i in evenly(len(xs), POINTS_MAX // 2)]
    outline = [(across(a), up(band.points[a][2])) for a in kept] + [(across(a), up(band.points[a][0])) for a in reversed(kept)]
    return join([_path(outline, f"b{place % COLOURS}", closed=True), _line({a: band.points[a][1] for a in xs}, across, up, place)])


def _hovers(xs: Sequence[float], series: Sequence[Series], bands: Sequence[Band], across: _Scale, up: _Scale, x: Axis) -> Html:
    """A column to hover over for each x (for some, where there are many): a hairline, a dot on each line, the values."""
    kept = [xs[i] for i in evenly(len(xs), HOVERS_MAX)]
    columns = []
    for place, at in enumerate(kept):
        left = LEFT if place == 0 else (across(kept[place - 1]) + across(at)) / 2
        right = LINE_WIDTH - RIGHT if place == len(kept) - 1 else (across(at) + across(kept[place + 1])) / 2
        said = [f"{x.name} {x.said(at)}"]
        heights = [one.points.get(at) for one in series] + [band.points[at][1] if at in band.points else None for band in bands]
        said += [f"{one.name}  {number(one.points[at])}" for one in series if at in one.points]
        threes = [(band.name, *band.points[at]) for band in bands if at in band.points]
        said += [f"{name}  {number(middle)}  ({number(low)} to {number(high)})" for name, low, middle, high in threes]
        dots = [
            tag("circle", cx=_short(across(at)), cy=_short(up(height)), r=3.5, class_=f"f{colour % COLOURS}")
            for colour, height in enumerate(heights) if height is not None and up.low <= height <= up.high
        ]  # fmt: skip
        hairline = tag("path", d=f"M{_short(across(at))} {TOP}V{LINE_HEIGHT - BOTTOM}", class_="hairline")
        hit = _box(left, TOP, right - left, LINE_HEIGHT - BOTTOM - TOP, "hit")
        columns.append(tag("g", tag("title", "\n".join(said)), hit, hairline, *dots, class_="hover"))
    return join(columns)


def _figure(drawn: Iterable[str], width: float, height: float, title: str, above: Html, *, wide: bool = False, **data: str) -> Html:
    svg = tag("svg", *drawn, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=title, **data)
    return join([above, tag("div", svg, class_="chart wide" if wide else "chart", **({"tabindex": 0} if wide else {}))])


def _path(points: Sequence[tuple[float, float]], class_: str, *, closed: bool = False) -> Html:
    return tag("path", d="M" + "L".join(f"{_short(a)} {_short(b)}" for a, b in points) + ("Z" if closed else ""), class_=class_)


def _box(x: float, y: float, width: float, height: float, class_: str, **more: str) -> Html:
    return tag("rect", x=_short(x), y=_short(y), width=_short(width), height=_short(height), class_=class_, **more)


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _clip(name: str) -> str:
    return name if len(name) <= LABEL_LETTERS_MAX else f"{name[: LABEL_LETTERS_MAX - 1]}…"
