"""What personalisation strategies share."""

from collections.abc import Mapping


def prefixed(prefix: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """The figures of a client's own model beside those of the shared one; `seen` counts examples once, so it stays with the shared one."""
    return {f"{prefix}{name}": value for name, value in metrics.items() if name != "seen"}
