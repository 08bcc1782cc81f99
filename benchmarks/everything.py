"""All benchmarks, each in a process of its own: JSON and a picture in results/, one table in docs/benchmarks.md, and what changed since the last time."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.catalogue import NAMES, load
from benchmarks.picture import picture

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- table: written by make bench -->", "<!-- end of table -->"
TIMEOUT_SECONDS = 900


def measure_all(quick: bool) -> str:
    """Measures, stores and gives what to print: the table, and changes against the stored ratios, which fail nothing. A quick measure stores nothing."""
    results, changes = [], []
    for name in NAMES:
        print(f"{name} …", file=sys.stderr, flush=True)
        result = _measure(name, quick)
        changes += changed(_stored(name), result)
        results.append(result)
        if not quick and "left_out" not in result["settings"]:
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
            (RESULTS / f"{name}.svg").write_text(picture(result, goals(name)))
    if not quick:
        PAGE.write_text(with_table(PAGE.read_text(), table(results)))
    return "\n".join([table(results), *changes])


def _measure(name: str, quick: bool) -> dict[str, Any]:
    """What `fl bench NAME --json` prints; one that fails or takes too long is left out with the reason, so that it costs no other its figures."""
    command = [Path(sys.executable).with_name("fl"), "bench", name, "--json", *(["--quick"] if quick else [])]
    try:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_SECONDS, env=dict(os.environ), cwd=ROOT)
    except subprocess.TimeoutExpired:
        return left_out(name, f"it took more than {TIMEOUT_SECONDS} s")
    except subprocess.CalledProcessError as error:
        return left_out(name, f"it ended with {error.returncode}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def left_out(name: str, why: str) -> dict[str, Any]:
    """The result of a benchmark that gave none."""
    return {"name": name, "settings": {"left_out": why}, "ratios": {}, "figures": {}}


def _stored(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def goals(name: str) -> dict[str, Any]:
    return dict(load(name).goals)


def changed(before: dict[str, Any] | None, after: dict[str, Any]) -> list[str]:
    """A line for each ratio that differs from the stored one by more than a tenth."""
    old = {} if before is None else before["ratios"]
    pairs = [(key, old[key], value) for key, value in after["ratios"].items() if key in old]
    return [f"{after['name']}: {key} was {was:g}, is {now:g}" for key, was, now in pairs if abs(now - was) > 0.1 * abs(was)]


def table(results: list[dict[str, Any]]) -> str:
    """A Markdown table with a row for each goal."""
    rows = ["| benchmark | what | found | goal | |", "|---|---|---|---|---|"]
    for result in results:
        values = {**result["figures"], **result["ratios"]}
        for key, goal in goals(result["name"]).items():
            if key not in values:
                rows.append(f"| `fl bench {result['name']}` | {key} | - | {goal} | {result['settings'].get('left_out', 'not measured')} |")
                continue
            met = "met" if goal.met(values[key]) else "**missed**"
            rows.append(f"| `fl bench {result['name']}` | {key} | {values[key]:g} | {goal} | {met} |")
    return "\n".join(rows)


def with_table(page: str, rows: str) -> str:
    """The page with the table between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{rows}\n\n{END}{after}"
