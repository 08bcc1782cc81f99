"""A schedule on this machine: published, published, refused once the data got worse, rolled back; through the command as a user types it."""

import json
from pathlib import Path
from typing import Any

import pytest

from fl_core import registry
from fl_core.errors import InputError
from fl_core.job import load_job
from fl_core.pool import NURSERY, Pool
from fl_core.runner import run
from fl_core.store import FileStore
from pipelines.cli import main
from pipelines.local import run_local
from pipelines.schedule import simulate

EXAMPLE = Path(__file__).parents[2] / "examples" / "schedule.yaml"


@pytest.fixture
def warm(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find a warm nursery, as tasks of a pipeline do."""
    monkeypatch.setenv(NURSERY, pool._own().address)


def fl(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the object on stdout (empty where nothing was printed) and stderr of a command with --json."""
    code = main([*words, "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else {}, err


def test_a_model_is_published_and_published_then_refused_when_the_data_got_worse_and_rolled_back(
    warm: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = f"file://{tmp_path}"
    code, told, _ = fl(capsys, "schedule", "simulate", str(EXAMPLE), "--occurrences", "3", "--store", store, "--processes", "1")
    occurrences = told["occurrences"]
    assert code == 0
    assert [(one["version"], one["decision"], one["parent"]) for one in occurrences] == [
        (1, "published", None), (2, "published", "scheduled/1"), (3, "refused", "scheduled/2")
    ]  # fmt: skip
    first, second, third = (one["metrics"]["accuracy"] for one in occurrences)
    assert second > first
    assert third < second - 0.01
    assert all(Path(one["report"]).is_file() for one in occurrences)

    code, told, _ = fl(capsys, "models", "list", "--store", store)
    assert [(m["name"], m["latest"], m["production"], [v["version"] for v in m["versions"]]) for m in told["models"]] == [("scheduled", 3, 2, [1, 2, 3])]
    code, told, err = fl(capsys, "models", "promote", "scheduled/3", "--store", store)
    assert (code, told) == (3, {})
    assert err.startswith("scheduled/3 was not promoted: accuracy is ")
    code, told, _ = fl(capsys, "models", "rollback", "scheduled", "--store", store, "--because", "complaints")
    assert (code, told) == (0, {"model": "scheduled", "production": 1, "left": 2})
    code, told, _ = fl(capsys, "models", "show", "scheduled", "--store", store)
    assert (told["version"], told["production"], [move["how"] for move in told["history"]]) == (1, 1, ["promoted", "promoted", "rolled back"])
    code, told, _ = fl(capsys, "models", "export", "scheduled/1", "--store", store, "--format", "paddle", "-o", str(tmp_path / "out"))
    assert (code, sorted(path.name for path in (tmp_path / "out").iterdir())) == (0, ["model.pdparams", "record.json"])


def test_a_pipeline_publishes_what_one_process_publishes(pool: Pool, nursery: str, tmp_path: Path) -> None:
    job = load_job(EXAMPLE, ["rounds=1"])
    run(job, store=f"file://{tmp_path / 'process'}", name="one", pool=pool)
    piped = run_local(job, store=f"file://{tmp_path / 'pipeline'}", out=tmp_path / "one", nursery=nursery)
    first, second = (registry.read(FileStore(tmp_path / runner), "scheduled/production") for runner in ("process", "pipeline"))
    same = ("run", "digest", "model_sha256", "bundle_sha256", "job_digest", "program_sha256", "data", "x", "rounds", "metrics", "gate", "version")
    assert {key: first[key] for key in same} == {key: second[key] for key in same}
    assert piped.summary["published"]["decision"] == "published"


def test_an_occurrence_without_new_data_trains_nothing_and_publishes_nothing(pool: Pool, tmp_path: Path) -> None:
    job, store = load_job(EXAMPLE, ["rounds=1", "schedule.set=[]"]), f"file://{tmp_path}"
    told: list[Any] = []
    found = simulate(job, occurrences=2, pool=pool, store=store, on_occurrence=told.append)
    assert found == told
    assert [(one["decision"], one["version"], one["rounds"]) for one in found] == [("published", 1, 1), ("skipped", None, 0)]
    assert registry.numbers(FileStore(tmp_path), "scheduled") == [1]


@pytest.mark.parametrize("occurrences", [0, 1001])
def test_the_number_of_occurrences_has_limits(pool: Pool, occurrences: int) -> None:
    with pytest.raises(InputError, match=f"occurrences is {occurrences}; it is a number from 1 to 1000"):
        simulate(load_job(EXAMPLE), occurrences=occurrences, pool=pool)


def test_a_job_without_a_gate_cannot_be_scheduled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    code, told, err = fl(capsys, "schedule", "simulate", str(EXAMPLE), "--set", "publish=null", "--store", f"file://{store}")
    assert (code, told) == (2, {})
    assert err.startswith("The job has no 'publish' section to decide what becomes of an occurrence's model")
    assert not store.exists()


def test_a_version_that_cannot_be_read_is_listed_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    FileStore(tmp_path).put("models/digits/1/record.json", b"damaged")
    assert main(["models", "list", "--store", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("digits/1  'models/digits/1/record.json' is not JSON")
    assert main(["models", "list", "digit", "--store", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"No model 'digit' was published to file://{tmp_path}; did you mean 'digits'?\n"


def test_a_person_reads_the_models_as_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--store", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"Nothing was published to file://{tmp_path}.\n"
    assert main(["models", "show", "digits", "--store", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"No model 'digits' was published to file://{tmp_path}; none is known.\n"
