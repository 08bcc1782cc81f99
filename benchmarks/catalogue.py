"""All benchmarks by name, and a result as JSON and as text."""

from importlib import import_module
from typing import Any

from benchmarks.harness import Benchmark, machine
from fl_core.errors import InputError, did_you_mean

NAMES = {
    "2nn": "two_nn", "cnn": "cnn", "gru": "gru", "lr": "lr", "tasks": "tasks", "population": "population", "aggregate": "aggregate", "start": "start",
    "gru4rec": "gru4rec", "live": "live", "attacks": "attacks", "asynchronous": "asynchronous", "selection": "selection", "stages": "stages",
    "flower": "flower",
}  # fmt: skip
# What takes hours is run by its name only.
LONG = {"published": "published"}


def load(name: str) -> Benchmark:
    modules = NAMES | LONG
    if name not in modules:
        raise InputError(f"No benchmark is called '{name}'; {did_you_mean(name, modules)}")
    found: Benchmark = import_module(f"benchmarks.{modules[name]}").benchmark
    return found


def measure(name: str, quick: bool, **options: Any) -> dict[str, Any]:
    """The result of one benchmark, as `fl bench NAME --json` prints it."""
    one, where = load(name), machine()
    found = one.measure(quick, **options)
    measured = {**found.figures, **found.ratios}
    return {
        "name": name, "machine": where, "settings": {**found.settings, "quick": quick}, "ratios": dict(found.ratios),
        "goals": {key: str(goal) for key, goal in one.goals.items() if key in measured}, "figures": dict(found.figures),
    }  # fmt: skip


def as_text(result: dict[str, Any]) -> str:
    """A line for each goal, then the figures."""
    goals = load(result["name"]).goals
    values = {**result["figures"], **result["ratios"]}
    checked = {name: goal for name, goal in goals.items() if name in values}
    why = [f"left out: {result['settings']['left_out']}"] if "left_out" in result["settings"] else []
    lines = [f"{name:24} {values[name]:10.6g}   goal {goal}   {'met' if goal.met(values[name]) else 'MISSED'}" for name, goal in checked.items()]
    return "\n".join([*why, *lines, *(f"  {name:52} {value:.6g}" for name, value in result["figures"].items())])
