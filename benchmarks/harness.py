"""What all benchmarks share: the record of what was measured, CPU time of this process and all below it, and things measured in turn."""

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fl_core.numerics import describe_processor

PACKAGES = ("paddlepaddle", "numpy", "safetensors")


@dataclass(frozen=True)
class Measured:
    """What a benchmark found: its settings, the ratios that its goals are about, and plain figures with their unit in the name."""

    settings: Mapping[str, Any]
    ratios: Mapping[str, float] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Goal:
    """At least `least`, or at most `most`."""

    least: float | None = None
    most: float | None = None

    def met(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        return f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}"


@dataclass(frozen=True)
class Benchmark:
    """A claim, the goals of its ratios (or figures), and the function that measures them: its first argument, `quick`, asks for fewer and smaller pairs."""

    claim: str
    goals: Mapping[str, Goal]
    measure: Callable[..., Measured]


def machine() -> dict[str, Any]:
    """Where it was measured; the load says how busy the machine was besides."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return {
        "processor": model, "cores": len(os.sched_getaffinity(0)), "load_before": round(os.getloadavg()[0], 2),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "versions": {name: version(name) for name in PACKAGES}, "features": describe_processor()["features"],
    }  # fmt: skip


def processes_below(root: int) -> list[int]:
    """A process and all living ones that it started, directly or through others."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _parent(entry)) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def cpu_seconds(processes: Sequence[int]) -> float:
    """CPU time so far of the processes, to the microsecond; one that has ended counts as nothing."""
    return sum(map(_nanoseconds, processes)) / 1e9


def peak_bytes(processes: Sequence[int]) -> int:
    """The most memory that each of the processes ever held, added up; what they share with the one they were forked from counts in each."""
    return sum(_peak(process) for process in processes)


def _peak(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def _parent(entry: Path) -> int | None:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return None


def _nanoseconds(process: int) -> int:
    try:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{process}/task").iterdir())
    except OSError:
        return 0


def in_turn(calls: Mapping[str, Callable[[], float]], pairs: int) -> dict[str, list[float]]:
    """Each call's seconds, `pairs` times, one call after the other, so that what disturbs the machine disturbs all; one round before does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(pairs + 1):
        for name, call in calls.items():
            found = call()
            if turn:
                seconds[name].append(found)
    return seconds


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the ratios of what was measured in one turn."""
    return round(statistics.median(a / b for a, b in zip(over, under, strict=True)), 3)


def spread(ratios: Sequence[float]) -> float:
    """How far the middle half of the ratios lies apart, as a share of the median: what to make of the last digits."""
    low, middle, high = statistics.quantiles(ratios, n=4)
    return round((high - low) / middle, 3)
