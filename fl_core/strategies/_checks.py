"""Checks that several strategies share; each raises ValueError as a sentence about one option."""


def at_least(least: float, **options: float) -> None:
    """Every option is `least` or more."""
    for name, value in options.items():
        if not value >= least:
            raise ValueError(f"{name} is {value}; it is at least {least:g}")


def above(bound: float, **options: float) -> None:
    """Every option is more than `bound`."""
    for name, value in options.items():
        if not value > bound:
            raise ValueError(f"{name} is {value}; it is above {bound:g}")


def from_up_to(low: float, high: float, **options: float) -> None:
    """Every option is at least `low` and below `high`."""
    for name, value in options.items():
        if not low <= value < high:
            raise ValueError(f"{name} is {value}; it is at least {low:g} and below {high:g}")
