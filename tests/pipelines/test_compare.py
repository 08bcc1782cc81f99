"""`fl compare` and `--log`, on the session's warm pool."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from fl_core.errors import QuorumError
from fl_core.pool import Pool
from pipelines.cli import main
from tests.fl_core.test_logs import Writer, written
from tests.fl_core.test_runner import contents
from tests.jobs import DIGITS, MISBEHAVING

Shown = pytest.CaptureFixture[str]


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(DIGITS.replace("rounds: 3", "rounds: 2"))
    return path


@pytest.fixture
def compare(job_file: Path, tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command on the job file, with its runs in a folder of the test."""
    monkeypatch.setattr("fl_core.pool.Pool", lambda processes=None: pool)
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *words: main(["compare", str(job_file), "--out", str(tmp_path / "out"), *words])


def test_a_comparison_is_a_table_and_a_page(compare: Callable[..., int], tmp_path: Path, capsys: Shown) -> None:
    assert compare("--vary", "strategy.name=fed_avg,scaffold", "--seeds", "2", "--target", "accuracy=0.5") == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    assert lines[0].split() == ["strategy", "accuracy", "best", "(in", "round)", "loss"]
    assert [line.split()[0] for line in lines[1:3]] == ["fed_avg", "scaffold"]
    assert " ± " in lines[1]
    assert "rounds to accuracy 0.5" in shown.out
    assert lines[-1] == f"page  {tmp_path}/out/comparison.html"
    assert "<h1>tiny</h1>" in (tmp_path / "out/comparison.html").read_text()
    assert f"4 runs in {tmp_path}/out; after an interruption the same command with --out {tmp_path}/out goes on." in shown.err


def test_json_is_one_object_and_reading_gives_the_same_figures(compare: Callable[..., int], tmp_path: Path, capsys: Shown) -> None:
    assert compare("--vary", "strategy.local_epochs=1,2", "--set", "rounds=1", "--json") == 0
    ran = json.loads(capsys.readouterr().out)
    assert [one["values"] for one in ran["combinations"]] == [{"strategy.local_epochs": "1"}, {"strategy.local_epochs": "2"}]
    before = contents(tmp_path / "out")
    assert main(["compare", str(tmp_path / "out"), "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert read == ran
    after = contents(tmp_path / "out")
    assert {key for key in after if after[key] != before.get(key)} == {"comparison.html"}


def test_runs_of_anywhere_are_read_side_by_side(job_file: Path, tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch, capsys: Shown) -> None:
    monkeypatch.setattr("fl_core.pool.Pool", lambda processes=None: pool)
    for name in ("fed_avg", "fed_avgm"):
        assert main(["run", str(job_file), "--set", "rounds=1", "--set", f"strategy.name={name}", "--out", str(tmp_path / name)]) == 0
    capsys.readouterr()
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "fed_avg", "fed_avgm", "--page", "two.html"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown[:3]] == ["strategy", "fed_avg", "fed_avgm"]
    assert shown[-1] == "page  two.html"
    assert "fl compare fed_avg fed_avgm" in (tmp_path / "two.html").read_text()
    assert main(["compare", "fed_avg/"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "page  comparison.html"


def test_a_run_below_its_quorum_is_shown_and_the_others_too(compare: Callable[..., int], tmp_path: Path, capsys: Shown) -> None:
    (tmp_path / "bad.py").write_text(MISBEHAVING)
    bad = f"{{name: 'bad.py:misbehave', folder: '{tmp_path}', how: nan, round: 1, client: 'client-0,client-1,client-2,client-3'}}"
    assert compare("--vary", f"strategy={bad},fed_avg", "--set", "rounds=1") == QuorumError.exit_code == 3
    shown = capsys.readouterr()
    assert "0 + 1 failed" in shown.out
    assert "seed-5 failed: Round 1 has 2 of 6 clients, below the quorum of 4" in shown.err
    assert "failed: Round 1 has 2 of 6 clients" in (tmp_path / "out/comparison.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--vary", "rounds=1,0"], "rounds is 0; a job has at least 1."),
        (["--vary", "strategy.name=fed_avg,fed_agv"], "No strategy is called 'fed_agv'; did you mean 'fed_avg'?"),
        (["--seeds", "0"], "--seeds is 0; a comparison has at least 1."),
        (["--seeds", "1000"], "The comparison has 1000 runs (combinations x seeds); it has at most 200: vary less, or use fewer seeds."),
        (["--target", "0.9"], "'--target 0.9' is not of the form METRIC=NUMBER, such as accuracy=0.97."),
        (["--target", "accuracy=nan"], "'--target accuracy=nan' is not of the form METRIC=NUMBER, such as accuracy=0.97."),
    ],
)
def test_what_is_wrong_is_one_sentence_and_nothing_is_written(compare: Callable[..., int], words: list[str], said: str, tmp_path: Path, capsys: Shown) -> None:
    assert compare(*words) == 2
    assert capsys.readouterr() == ("", f"{said}\n")
    assert not (tmp_path / "out").exists()


def test_options_of_a_job_are_refused_where_runs_are_read(tmp_path: Path, capsys: Shown) -> None:
    assert main(["compare", str(tmp_path), "--vary", "rounds=1,2"]) == 2
    assert capsys.readouterr().err == f"--vary is for a job file; '{tmp_path}' holds runs, which are only read. Leave it out.\n"
    assert main(["compare", str(tmp_path), "--set", "rounds=1"]) == 2
    assert capsys.readouterr().err.startswith("--set is for a job file")


def test_a_job_file_among_runs_and_a_folder_without_any_are_refused(job_file: Path, tmp_path: Path, capsys: Shown) -> None:
    assert main(["compare", str(tmp_path), str(job_file)]) == 2
    assert f"'{job_file}' is no folder of a run" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["compare", str(tmp_path / "empty")]) == 2
    assert f"There is no run in '{tmp_path}/empty' or 3 folders deep below it" in capsys.readouterr().err


def test_every_run_of_a_comparison_is_logged_under_its_combination(
    compare: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    package = ModuleType("tensorboardX")
    package.SummaryWriter = type("SummaryWriter", (Writer,), {"files": "events.out.tfevents."})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorboardX", package)
    words = ["--vary", "strategy.name=fed_avg,scaffold", "--set", "rounds=1", "--log", "tensorboard", "--log-to", str(tmp_path / "log")]
    assert compare(*words) == 0
    for name in ("fed_avg", "scaffold"):
        steps = [step for key, _, step in written(tmp_path / f"log/strategy.name={name}/seed-5") if key == "accuracy"]
        assert steps == [0, 1]
    assert main(["resume", f"{tmp_path}/out/strategy.name=fed_avg/seed-5", "--log", "tensorboard", "--log-to", str(tmp_path / "later")]) == 0
    assert written(tmp_path / "later/seed-5") == written(tmp_path / "log/strategy.name=fed_avg/seed-5")


@pytest.mark.parametrize("words", [["run", "JOB"], ["serve", "JOB", "--store", "file://STORE", "--run", "x"], ["compare", "JOB"]])
def test_a_missing_log_package_is_said_before_anything_is_written(
    words: list[str], job_file: Path, tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setitem(sys.modules, "visualdl", None)
    monkeypatch.setattr("fl_core.pool.Pool", lambda processes=None: pool)
    monkeypatch.chdir(tmp_path)
    placed = [word.replace("JOB", str(job_file)).replace("STORE", str(tmp_path / "store")) for word in words]
    assert main([*placed, "--log", "visualdl"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "--log visualdl needs the package visualdl" in shown.err
    assert not list(tmp_path.rglob("manifest.json"))
