"""Checks that several strategies share; each raises ValueError as a sentence about one option."""


def at_least(least: float, /, **options: float) -> None:
    """Every option is `least` or more."""
    for name, value in options.items():
        if not value >= least:
            raise ValueError(f"{name} is {value}; it is at least {least:g}")


def above(least: float, /, **options: float) -> None:
    """Every option is more than `least`."""
    for name, value in options.items():
        if not value > least:
            raise ValueError(f"{name} is {value}; it is above {least:g}")


def from_up_to(low: float, high: float, /, **options: float) -> None:
    """Every option is at least `low` and below `high`."""
    for name, value in options.items():
        if not low <= value < high:
            raise ValueError(f"{name} is {value}; it is at least {low:g} and below {high:g}")


def share(**options: float) -> None:
    """Every option is above 0 and at most 1."""
    for name, value in options.items():
        if not 0 < value <= 1:
            raise ValueError(f"{name} is {value}; it is above 0 and at most 1")
