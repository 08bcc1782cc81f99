"""Points in time as people write them, as seconds."""

from datetime import UTC, datetime

UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))


def seconds_of(cell: str) -> float | None:
    """Seconds since 1970, None where the cell is no time: a number (smaller units are told by their size) or an ISO date; UTC unless it says."""
    try:
        number = float(cell)
    except ValueError:
        return _seconds_of_date(cell)
    if number != number or abs(number) == float("inf"):
        return None
    return number / next((unit for least, unit in UNITS if number > least), 1.0)


def _seconds_of_date(cell: str) -> float | None:
    try:
        when = datetime.fromisoformat(cell.strip().removesuffix(" UTC").replace("/", "-"))
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
