import json
import subprocess
import sys
from pathlib import Path

import pytest

from fl_core import run
from fl_core.errors import FederationError, InputError, QuorumError, SignatureError, TrainingError
from fl_core.pool import Pool
from fl_core.runner import Result
from fl_core.strategies.fed_avg import fed_avg
from pipelines import commands
from pipelines.cli import COMMANDS, INTERRUPTED, main
from pipelines.commands import doctor
from pipelines.commands.doctor import Finding
from tests.fl_core.test_runner import contents, folder_of
from tests.jobs import DIGITS, tiny_job

HEAVY = {"pydantic", "numpy", "kfp", "kubernetes", "yaml", "paddle", "sklearn", "rich"}
FL = [sys.executable, "-c", "import sys; from pipelines.cli import main; sys.exit(main())"]
CORE = {"name", "runner", "rounds", "digest", "metrics", "examples", "seconds", "failures", "privacy", "reproducible", "numerics"}
KEYS = CORE | {"rounds_per_second", "resumed_from"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> Result:
    return run(tiny_job("rounds=2"), out=tmp_path_factory.mktemp("finished") / "run", pool=pool)


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(DIGITS)
    return path


def test_help_lists_every_command_and_every_command_is_a_module(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    listed = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(f"\n    {name} " in listed for name in COMMANDS)
    modules = {path.stem for path in Path(commands.__file__).parent.glob("*.py")}
    assert modules - {"__init__"} == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: fl {command} ")


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["resume", "--help"]])
def test_help_is_there_at_once(words: list[str]) -> None:
    code = (
        f"import sys\nfrom pipelines.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    print({HEAVY} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "set()"


@pytest.mark.parametrize("words", [[], ["rum"], ["run"], ["run", "job.yaml", "--runner", "cloud"], ["run", "job.yaml", "--processes", "two"]])
def test_wrong_words_end_with_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: fl" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("rounds is 0; a job has at least 1."), 2, "rounds is 0; a job has at least 1.\n"),
        (QuorumError("Too few."), 3, "Too few.\n"),
        (SignatureError("It was changed."), 3, "It was changed.\n"),
        (TrainingError("It died."), 1, "It died.\n"),
        (FederationError("It failed."), 1, "It failed.\n"),
        (ValueError("odd"), 1, "ValueError: odd (set FL_DEBUG=1 for the whole story.)\n"),
        (KeyboardInterrupt(), INTERRUPTED, "Interrupted; what is done stays.\n"),
    ],
)
def test_an_error_is_one_sentence_and_an_exit_code(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: object) -> None:
        raise error

    monkeypatch.delenv("FL_DEBUG", raising=False)
    monkeypatch.setattr("pipelines.commands.lint.main", fail)
    assert main(["lint", "a.yaml"]) == code
    assert capsys.readouterr() == ("", said)


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("words", [["--out", "here/mine"], ["--store", "file://root", "--name", "mine"]])
def test_an_interrupted_run_says_which_folder_to_resume(
    words: list[str], job_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(job_file.parent)
    monkeypatch.setattr("fl_core.runner.scheduler.plan", interrupt)
    folder = words[1] if len(words) == 2 else "root/runs/mine"
    said = f"Interrupted; what is done stays, and `fl resume {folder}` goes on from there.\n"
    assert main(["run", "job.yaml", *words]) == INTERRUPTED
    assert capsys.readouterr().err == said
    assert main(["resume", folder]) == INTERRUPTED
    assert capsys.readouterr().err == said


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize(
    ("words", "door", "said"),
    [
        (["serve", "--run", "r"], "fl_core.live.serve", "the same command again"),
        (["work", "--run", "r", "--worker", "worker-0"], "fl_core.live.work", "the same command again"),
        (["compare", "--out", "c"], "fl_core.comparison_runs.check", "the same command with --out c"),
    ],
)
def test_an_interrupted_command_says_how_it_is_gone_on_with(
    words: list[str], door: str, said: str, job_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(job_file.parent)
    monkeypatch.setattr(door, interrupt)
    assert main([words[0], "job.yaml", "--store", "file://root", *words[1:]]) == INTERRUPTED
    assert capsys.readouterr().err == f"Interrupted; what is done stays, and {said} goes on from there.\n"


def test_the_whole_story_is_told_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FL_DEBUG", "1")
    with pytest.raises(InputError):
        main(["run", "nowhere.yaml"])


def test_json_is_one_object_on_stdout_and_nothing_else(job_file: Path, tmp_path: Path) -> None:
    """A real process, whose training processes could write to the same stdout."""
    words = ["run", str(job_file), "--out", str(tmp_path / "run"), "--set", "rounds=1", "--processes", "1", "--json"]
    done = subprocess.run([*FL, *words], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert set(summary) >= KEYS
    assert done.stdout.count("\n") == 1
    stored = json.loads((tmp_path / "run/summary.json").read_bytes())
    assert {key: summary[key] for key in KEYS} == {key: stored[key] for key in KEYS}


@pytest.mark.usefixtures("warm")
def test_what_the_users_code_prints_stays_out_of_the_result(job_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "chatty.py").write_text("print('hello')\nfrom fl_core.strategies.fed_avg import fed_avg as mine\n")
    assert main(["run", str(job_file), "--out", str(tmp_path / "run"), "--set", "rounds=1", "--set", "strategy=chatty.py:mine", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["rounds"] == 1
    assert "hello" in shown.err


@pytest.mark.usefixtures("warm")
def test_a_person_sees_metrics_digest_and_where_things_lie(job_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(job_file), "--out", str(tmp_path / "run"), "--set", "rounds=1"]) == 0
    shown = capsys.readouterr()
    summary = json.loads((tmp_path / "run/summary.json").read_bytes())
    for word in ("tiny: 1 rounds in ", summary["digest"], f"accuracy {summary['metrics']['accuracy']:.4f}", f"{tmp_path}/run\n", f"{tmp_path}/run/report.html"):
        assert word in shown.out
    assert shown.err.startswith("tiny 1/1 accuracy ")


@pytest.mark.usefixtures("warm")
def test_a_store_a_name_and_overrides_are_taken(job_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", str(job_file), "--store", f"file://{tmp_path}/store", "--name", "first", "--set", "rounds=1", "--set", "seed=9", "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["run"] == "first"
    assert "seed: 9" in (tmp_path / "store/runs/first/job/job.yaml").read_text().splitlines()


def test_a_finished_run_is_resumed_to_nothing(finished: Result, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of(finished)
    before = contents(folder.parent)
    assert main(["resume", str(folder), "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["digest"] == finished.digest
    assert shown.err == "The run 'run' is finished; nothing was changed.\n"
    assert contents(folder.parent) == before


def test_an_edited_job_is_not_resumed(finished: Result, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder_of(finished) / "job/job.yaml"
    text = path.read_text()
    path.write_text(text.replace("rounds: 2", "rounds: 3"))
    code = main(["resume", str(folder_of(finished))])
    path.write_text(text)
    assert code == 2
    assert capsys.readouterr().err == (f"'job/job.yaml' in file://{folder_of(finished)} was changed after the run began; start a new run for another job.\n")


def test_a_run_that_was_given_python_objects_is_not_resumed(tmp_path: Path, pool: Pool, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tiny_job(), strategy=fed_avg(batch_size=32), out=tmp_path / "run", pool=pool, on_round=stop)
    assert main(["resume", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err == "This run was given its strategy in Python; start it again there, it cannot be resumed from its folder.\n"


@pytest.mark.parametrize("command", ["resume", "report"])
def test_a_folder_without_a_run_is_said_so(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"There is no run in file://{tmp_path}: 'job/manifest.json' is missing.\n"


@pytest.mark.parametrize(("good", "code"), [(True, 0), (False, 1)])
def test_the_doctor_says_what_is_missing(good: bool, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (lambda: Finding(True, "python", "3.11"), lambda: Finding(good, "disk", "some")))
    assert main(["doctor"]) == code
    assert capsys.readouterr().out == f"ok    python: 3.11\n{'ok  ' if good else 'MISS'}  disk: some\n"
    assert main(["doctor", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["findings"][1] == {"good": good, "name": "disk", "text": "some"}


@pytest.mark.parametrize(("refuses", "told"), [(True, "-m compileall -q"), (False, "are kept")])
def test_the_doctor_says_how_to_spare_each_start_the_compiling(refuses: bool, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", refuses)
    monkeypatch.setattr("sys.pycache_prefix", str(tmp_path))
    assert told in doctor._start().text


@pytest.mark.parametrize("check", [check for check in doctor.CHECKS if check.__name__ != "_training"])
def test_this_machine_is_fit(check: object) -> None:
    finding = check()  # type: ignore[operator]
    assert finding.good, finding.text
