"""Start-up from the shell: `fl --help`, the first finished round of the digits example, `import paddle` alone, and what the server imports."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Benchmark, Goal, Measured

ROOT = Path(__file__).parents[1]
FL = Path(sys.executable).with_name("fl")
IMPORT = (sys.executable, "-c", "import paddle")


def measure(quick: bool) -> Measured:
    repeats = 3 if quick else 7
    turns = [(_seconds([FL, "--help"]), _first_round_seconds(), _seconds(IMPORT)) for _ in range(repeats)]
    helps, rounds, imports = zip(*turns, strict=True)
    figures = {
        "help_seconds": round(statistics.median(helps), 3), "first_round_seconds": round(statistics.median(rounds), 2),
        "first_round_seconds_least": round(min(rounds), 2), "import_paddle_seconds": round(statistics.median(imports), 2),
        "server_imports_paddle": _server_imports_paddle(),
    }  # fmt: skip
    return Measured({"repeats": repeats, "job": "examples/digits.yaml"}, {}, figures)


def _seconds(words: Sequence[str | Path]) -> float:
    start = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def _first_round_seconds() -> float:
    """From the shell to the state that the first round ends in, as others can see it in the run's folder."""
    with tempfile.TemporaryDirectory() as folder:
        done = Path(folder) / "run/rounds/0002/state.safetensors"
        start = time.perf_counter()
        with subprocess.Popen(
            [FL, "run", ROOT / "examples/digits.yaml", "--out", Path(folder) / "run", "--json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            while not done.exists():
                if process.poll() is not None:
                    raise RuntimeError(f"fl run ended with exit code {process.returncode} before its first round.")
                time.sleep(0.005)
            seconds = time.perf_counter() - start
            process.wait()
    return seconds


def _server_imports_paddle() -> float:
    code = "import sys; from fl_core import scheduler, server, runner, generator, worker; print(float('paddle' in sys.modules))"
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}).stdout)


benchmark = Benchmark(
    "The command is there at once, and a first round soon after.",
    {"help_seconds": Goal(most=0.3), "first_round_seconds": Goal(most=5), "server_imports_paddle": Goal(most=0)},
    measure,
)
