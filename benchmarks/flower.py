"""Our rounds beside those of Flower's simulation, on the same data and cores: with our own training function, and written as its quick start is."""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import numpy as np

from benchmarks.flower_job import BATCH_SIZE, CLIENTS, EXAMPLES, LEARNING_RATE, SIZES, flower_job
from benchmarks.harness import Benchmark, Goal, Measured, ratio
from benchmarks.start import FL
from fl_core.journal import read_journal
from fl_core.numerics import training_environment
from fl_core.run_folder import Run
from fl_core.runner import open_run

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "benchmarks" / "flower.lock"
SHOWN = ("flwr", "ray", "paddlepaddle", "numpy")
WARM_UP, INSTALL_SECONDS, RUN_SECONDS = 5, 600, 240
QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}


class NoFlower(RuntimeError):
    """Flower cannot be had or does not run here; its text says why."""


@dataclass(frozen=True)
class Timed:
    """From the start of the command to the end of the first round, and the rounds a second once it runs."""

    first_round_seconds: float
    rounds_per_second: float


def measure(quick: bool) -> Measured:
    rounds, pairs = (10, 1) if quick else (20, 2)
    settings = {
        "net": "-".join(map(str, SIZES)), "clients": CLIENTS, "examples_per_client": EXAMPLES, "batch_size": BATCH_SIZE, "local_epochs": 1,
        "learning_rate": LEARNING_RATE, "rounds": rounds, "steady_from_round": WARM_UP + 1, "pairs": pairs, "processes": 2,
        "flower": "run_simulation with ray, 2 CPUs, 1 a client; FedAvg without evaluation",
        "usual": "Paddle: nn.Layer, DataLoader, optimizer.SGD, anew for each task",
    }  # fmt: skip
    try:
        python = environment()
        found, difference = _in_turn(python, rounds, pairs)
    except NoFlower as error:
        return Measured({**settings, "left_out": str(error)})
    return Measured({**settings, "versions": versions(python)}, ratios(found), {**figures(found), "same_client_difference": difference})


def _in_turn(python: Path, rounds: int, pairs: int) -> tuple[dict[str, list[Timed]], float]:
    """What each side took, one after the other, so that what disturbs the machine disturbs all; and how far our function's results lie apart."""
    found: dict[str, list[Timed]] = {"ours": [], "same": [], "usual": []}
    differences = []
    for _ in range(pairs):
        with tempfile.TemporaryDirectory(prefix="fl-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            one, ours = _ours(folder, rounds)
            found["ours"].append(ours)
            for kind in ("same", "usual"):
                found[kind].append(_flower(python, kind, folder, rounds))
            differences.append(_difference(one, folder / "same.npz"))
    return found, max(differences)


def ratios(found: Mapping[str, list[Timed]]) -> dict[str, float]:
    speeds = {kind: [one.rounds_per_second for one in runs] for kind, runs in found.items()}
    firsts = {kind: [one.first_round_seconds for one in runs] for kind, runs in found.items()}
    return {
        "same_client": ratio(speeds["ours"], speeds["same"]), "steady": ratio(speeds["ours"], speeds["usual"]),
        "first_round": ratio(firsts["usual"], firsts["ours"]),
    }  # fmt: skip


def figures(found: Mapping[str, list[Timed]]) -> dict[str, float]:
    plain = {}
    for kind, runs in found.items():
        plain[f"{kind}_rounds_per_second"] = round(statistics.median(one.rounds_per_second for one in runs), 3)
        plain[f"{kind}_first_round_seconds"] = round(statistics.median(one.first_round_seconds for one in runs), 2)
    return plain


def timed(begun: float, moments: list[float]) -> Timed:
    """What the moments say at which rounds ended, for a command that was begun at `begun`."""
    steady = moments[WARM_UP - 1 :]
    return Timed(moments[0] - begun, (len(steady) - 1) / (steady[-1] - steady[0]))


def _ours(folder: Path, rounds: int) -> tuple[Run, Timed]:
    """`fl run` from the shell; also leaves the weights that all start from, by name."""
    (folder / "job.yaml").write_text(flower_job(rounds).text)
    begun = time.time()
    subprocess.run([FL, "run", folder / "job.yaml", "--out", folder / "run", "--json"], check=True, stdout=subprocess.DEVNULL, timeout=RUN_SECONDS)
    one = open_run(str(folder / "run"))
    ends = [datetime.fromisoformat(event["time"]).timestamp() for event in read_journal(one) if event["event"] == "stage" and event["stage"] == "close"]
    weights = one.state(1).weights
    np.savez(folder / "first.npz", **{name: weights[name] for name in sorted(weights)})
    return one, timed(begun, ends)


def _flower(python: Path, kind: str, folder: Path, rounds: int) -> Timed:
    """A run of Flower's simulation in its own environment; our function has the environment variables that our training processes have."""
    variables = {**(training_environment(os.environ) if kind == "same" else os.environ), **QUIET, "PYTHONPATH": str(ROOT), "RAY_TMPDIR": str(folder)}
    words = [python, "-m", "benchmarks.flower_process", kind, str(rounds), folder / "first.npz", folder / f"{kind}.npz"]
    begun = time.time()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables, cwd=folder, start_new_session=True) as process:
        try:
            said, log = process.communicate(timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            raise NoFlower(f"Flower's run '{kind}' did not end within {RUN_SECONDS} s.") from error
    if process.returncode:
        raise NoFlower(f"Flower's run '{kind}' ended with exit code {process.returncode}: {last_line(log)}")
    return timed(begun, json.loads(said.splitlines()[-1]))


def _difference(one: Run, second: Path) -> float:
    """The largest difference between our weights and those of Flower's run with our function after one round: what averaging makes of the same moves."""
    weights = one.state(2).weights
    with np.load(second) as file:
        return max(float(np.abs(file[name] - value).max()) for name, value in weights.items())


def environment() -> Path:
    """The Python of Flower's own environment, made once in the cache from the lock file; NoFlower where the packages cannot be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paddlefl"
    folder = cache / f"flower-{sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.exists():
        return python
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement", LOCK]
    for words in ([sys.executable, "-m", "venv", "--clear", folder], pip):
        try:
            done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise NoFlower(f"Flower could not be installed within {INSTALL_SECONDS} s.") from error
        if done.returncode:
            raise NoFlower(f"Flower could not be installed: {last_line(done.stderr)}")
    ready.touch()
    return python


def last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")


def versions(python: Path) -> dict[str, str]:
    code = f"import json, importlib.metadata as m; print(json.dumps({{name: m.version(name) for name in {SHOWN!r}}}))"
    found: dict[str, str] = json.loads(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout)
    return found


benchmark = Benchmark(
    "A round takes less than half of what it takes in Flower's simulation with the same training function, and the first is there sooner.",
    {"same_client": Goal(least=2), "steady": Goal(least=3), "first_round": Goal(least=5)},
    measure,
)
