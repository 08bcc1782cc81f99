"""A table for the terminal: columns side by side, those that do not fit the width in blocks below one another."""

from collections.abc import Sequence

from fl_core.comparison_figures import Column

GAP = "  "
LABEL_LETTERS_MAX = 32


def show_columns(columns: Sequence[Column], width: int) -> str:
    """The columns as lines of at most `width` letters; the first ones, which are not numeric, begin every block. The best of a column has a star."""
    labels = [column for column in columns if not column.numeric]
    blocks: list[list[Column]] = [[]]
    for column in (column for column in columns if column.numeric):
        if blocks[-1] and _width([*labels, *blocks[-1], column]) > width:
            blocks.append([])
        blocks[-1].append(column)
    return "\n\n".join(_block([*labels, *block]) for block in blocks)


def _width(columns: Sequence[Column]) -> int:
    return sum(max(map(len, _cells(column))) for column in columns) + len(GAP) * (len(columns) - 1)


def _cells(column: Column) -> list[str]:
    if not column.numeric:
        return [_clip(cell) for cell in (column.head, *column.cells)]
    marked = [f"{cell} {'*' if place == column.best else ' '}" if column.best is not None else cell for place, cell in enumerate(column.cells)]
    return [f"{column.head}  " if column.best is not None else column.head, *marked]


def _clip(text: str) -> str:
    return text if len(text) <= LABEL_LETTERS_MAX else f"{text[: LABEL_LETTERS_MAX - 1]}…"


def _block(columns: Sequence[Column]) -> str:
    padded = []
    for column in columns:
        cells = _cells(column)
        wide = max(map(len, cells))
        padded.append([cell.rjust(wide) if column.numeric else cell.ljust(wide) for cell in cells])
    return "\n".join(GAP.join(line).rstrip() for line in zip(*padded, strict=True))
