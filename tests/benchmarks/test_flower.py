"""The comparison with Flower: its arithmetic, and what it says where Flower cannot be had. Flower itself is never a dependency."""

import ast
import subprocess
from pathlib import Path

import pytest

from benchmarks import catalogue, everything, flower, picture
from benchmarks.flower import Timed, figures, ratios, timed
from benchmarks.flower_job import flower_job

ROOT = Path(__file__).parents[2]


def test_the_first_round_counts_from_the_command_and_steady_rounds_from_the_fifth() -> None:
    assert timed(10.0, [14.0, 15.0, 16.0, 17.0, 18.0, 18.5, 19.0]) == Timed(first_round_seconds=4.0, rounds_per_second=2.0)


def test_ratios_say_how_many_times_faster_and_sooner_ours_is() -> None:
    found = {"ours": [Timed(2.0, 8.0)], "same": [Timed(20.0, 4.0)], "usual": [Timed(12.0, 2.0)]}
    assert ratios(found) == {"same_client": 2.0, "steady": 4.0, "first_round": 6.0}
    assert figures(found)["usual_rounds_per_second"] == 2.0
    assert set(ratios(found)) == set(flower.benchmark.goals)


def test_both_sides_train_the_same_job_from_the_benchmarks_own_data() -> None:
    job = flower_job(rounds=5)
    assert (job.rounds, job.data.name, job.evaluate.every_rounds) == (5, "benchmarks.data:images", 5)


def test_where_flower_cannot_be_installed_the_benchmark_is_left_out_and_the_table_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_index(words: list[object], **more: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess(words, 1, "", "ERROR: noise\nERROR: No matching distribution found for ray\n\n")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(flower.subprocess, "run", no_index)
    result = catalogue.measure("flower", quick=True)
    why = "Flower could not be installed: ERROR: No matching distribution found for ray"
    assert (result["ratios"], result["goals"], result["settings"]["left_out"]) == ({}, {}, why)
    assert f"| `fl bench flower` | steady | - | >= 3 | {why} |" in everything.table([result])
    assert catalogue.as_text(result) == f"left out: {why}"
    assert "<rect" not in picture.picture(result, everything.goals("flower"))


def test_only_flowers_own_processes_import_it() -> None:
    importing = []
    for path in [*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "fl_core").rglob("*.py"), *(ROOT / "pipelines").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            importing += [path.name for name in names if name.split(".")[0] in ("flwr", "ray")]
    assert set(importing) == {"flower_clients.py", "flower_process.py"}


def test_flowers_environment_is_pinned_with_hashes_and_no_part_of_ours() -> None:
    lock = flower.LOCK.read_text()
    assert "flwr==1." in lock
    assert lock.count("==") <= lock.count("--hash=sha256:")
    assert "://" not in lock
    assert "flwr" not in (ROOT / "pyproject.toml").read_text() + (ROOT / "requirements.lock").read_text()
