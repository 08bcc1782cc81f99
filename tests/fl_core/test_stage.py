"""Around a stage: where its run lies, what the form fills in, and how an error ends the task."""

import json
from pathlib import Path

import pytest

from fl_core.errors import FederationError, InputError, QuorumError, TrainingError
from fl_core.runner import private_store
from fl_core.stage import FAILURE, PRIVATE, ending, filled_in, open_run_at, place_of, write_receipt
from fl_core.store import FileStore
from tests.jobs import tiny_job
from tests.pipelines.small_jobs import SOFTMAX, small_job


def test_a_run_lies_under_its_store_by_name(tmp_path: Path) -> None:
    assert place_of(f"file://{tmp_path}", "nightly-1").uri == f"file://{tmp_path}/runs/nightly-1"


def test_a_whole_address_stands_for_itself(tmp_path: Path) -> None:
    assert place_of("", f"file://{tmp_path}/out").uri == f"file://{tmp_path}/out"


@pytest.mark.parametrize(
    ("store", "run", "sentence"),
    [
        ("", "nightly", "store is empty; it says where the federation meets, such as s3://bucket/prefix."),
        ("file:///x", "a/b", "run is 'a/b'; a name is 1 to 63 letters, digits, '.', '_' or '-', and starts with a letter or digit."),
        ("file:///x", "", "run is ''; a name is 1 to 63 letters"),
    ],
)
def test_a_place_that_is_none_is_told(store: str, run: str, sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        place_of(store, run)
    assert str(refused.value).startswith(sentence)


def test_empty_fields_leave_the_job_as_it_is() -> None:
    assert filled_in(tiny_job().bundle(), " \n", "", " ").digest == tiny_job().digest


def test_the_forms_seed_goes_over_the_overrides() -> None:
    assert filled_in(tiny_job().bundle(), "seed=1\nquorum=0.1", "", "2").seed == 2


def test_a_start_with_odd_letters_is_taken_as_it_is() -> None:
    assert filled_in(tiny_job().bundle(), "", "a: {b}#c", "").start_from == "a: {b}#c"


@pytest.mark.parametrize(("error", "code"), [(InputError, 2), (QuorumError, 3), (TrainingError, 1), (FederationError, 1)])
def test_an_error_ends_the_task_in_one_sentence_and_its_code(
    error: type[FederationError], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(FAILURE, str(tmp_path / "failure.json"))
    with pytest.raises(SystemExit) as ended, ending():
        raise error("It is so.")
    assert (ended.value.code, capsys.readouterr().err) == (code, "It is so.\n")
    assert json.loads((tmp_path / "failure.json").read_text()) == {"kind": error.__name__, "error": "It is so."}


def test_an_unexpected_error_goes_on_up_and_is_told_to_the_runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FAILURE, str(tmp_path / "failure.json"))
    with pytest.raises(ZeroDivisionError), ending():
        raise ZeroDivisionError("by none")
    assert json.loads((tmp_path / "failure.json").read_text()) == {"kind": "FederationError", "error": "ZeroDivisionError: by none"}


def test_without_a_runner_that_listens_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FAILURE, raising=False)
    with pytest.raises(SystemExit), ending():
        raise InputError("It is so.")
    assert not list(tmp_path.iterdir())


def test_the_private_place_is_where_the_organisation_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nursery: str) -> None:
    from fl_core.pool import Pool
    from fl_core.stage import generate

    store = f"file://{tmp_path}/store"
    with Pool(1, nursery) as pool:
        beside = generate(pool, store, "one", small_job(SOFTMAX).bundle()).private
        monkeypatch.setenv(PRIVATE, str(tmp_path / "mine"))
        own = generate(pool, store, "two", small_job(SOFTMAX).bundle()).private
    assert beside.uri == private_store(FileStore(tmp_path / "store" / "runs" / "one")).uri
    assert own.uri == f"file://{tmp_path}/mine/two"
    assert open_run_at(store, "two").private.uri == own.uri
    assert own.list("keys/")


def test_a_receipt_is_metadata_and_content_alike(tmp_path: Path) -> None:
    class Fake:
        path, metadata = str(tmp_path / "receipt"), {"before": 1}

    write_receipt(Fake(), digest="abc", examples=3)
    assert Fake.metadata == {"before": 1, "digest": "abc", "examples": 3}
    assert json.loads(Path(Fake.path).read_text()) == {"digest": "abc", "examples": 3}
