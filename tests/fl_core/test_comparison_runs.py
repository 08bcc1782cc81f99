"""Planned runs on the session's warm pool: what is there is read, what was interrupted goes on, what fails ends no other."""

import doctest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import fl_core.comparison_runs
from fl_core.comparison import Target
from fl_core.comparison_plan import Planned, plan
from fl_core.comparison_runs import check, find_runs, gather, is_begun, run_all
from fl_core.errors import InputError, QuorumError, StoreError
from fl_core.pool import Pool
from fl_core.runner import OnRound, Progress, open_run
from tests.fl_core.test_runner import contents
from tests.jobs import DIGITS, MISBEHAVING

VARY = ["strategy.name=fed_avg,scaffold"]


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(DIGITS.replace("rounds: 3", "rounds: 1"))
    return path


class Heard:
    """Which rounds of which runs were told of."""

    def __init__(self) -> None:
        self.rounds: list[tuple[str, int]] = []

    @contextmanager
    def __call__(self, planned: Planned) -> Iterator[OnRound]:
        yield lambda progress: self.rounds.append((planned.name, progress.round))


def test_what_was_planned_runs_once_and_is_read_afterwards(job_file: Path, tmp_path: Path, pool: Pool) -> None:
    planned = plan(job_file, [], VARY, 2, tmp_path / "out")
    check(job_file, planned, pool, "file://store")
    assert not (tmp_path / "out").exists()
    heard = Heard()
    assert run_all(planned, pool, "file://store", heard) == {}
    assert [name for name, _ in heard.rounds] == ["fed_avg · seed 5", "scaffold · seed 5", "fed_avg · seed 6", "scaffold · seed 6"]
    combinations = gather(planned, {})
    assert [(one.name, [outcome.job.seed for outcome in one.outcomes]) for one in combinations] == [("fed_avg", [5, 6]), ("scaffold", [5, 6])]
    assert len({outcome.digest for one in combinations for outcome in one.outcomes}) == 4
    before = contents(tmp_path / "out")
    check(job_file, planned, pool, "file://store")
    assert run_all(planned, pool, "file://store", heard) == {}
    assert heard.rounds[4:] == heard.rounds[:4]  # told as they were, and nothing is written
    assert contents(tmp_path / "out") == before


def test_a_comparison_that_was_interrupted_goes_on_to_the_same_bits(job_file: Path, tmp_path: Path, pool: Pool) -> None:
    whole, cut = (plan(job_file, ["rounds=2"], [], 1, tmp_path / name) for name in ("whole", "cut"))
    run_all(whole, pool, "file://store", Heard())

    @contextmanager
    def interrupt(planned: Planned) -> Iterator[OnRound]:
        def stop(progress: Progress) -> None:
            raise KeyboardInterrupt

        yield stop

    with pytest.raises(KeyboardInterrupt):
        run_all(cut, pool, "file://store", interrupt)
    assert is_begun(cut[0])
    check(job_file, cut, pool, "file://store")
    assert run_all(cut, pool, "file://store", Heard()) == {}
    ended = [open_run(planned[0].folder).record("summary.json") for planned in (whole, cut)]
    assert ended[0]["digest"] == ended[1]["digest"]
    assert ended[1]["resumed_from"] == 1


def test_a_run_that_fails_ends_no_other_and_says_why(job_file: Path, tmp_path: Path, pool: Pool) -> None:
    (tmp_path / "bad.py").write_text(MISBEHAVING)
    bad = f"{{name: 'bad.py:misbehave', folder: '{tmp_path}', how: nan, round: 1, client: 'client-0,client-1,client-2,client-3'}}"
    planned = plan(job_file, [], [f"strategy={bad},fed_avg"], 1, tmp_path / "out")
    check(job_file, planned, pool, "file://store")
    failed = run_all(planned, pool, "file://store", Heard())
    assert [type(error) for error in failed.values()] == [QuorumError]
    broken, good = gather(planned, failed)
    assert (broken.outcomes[0].status, good.outcomes[0].status) == ("failed", "finished")
    assert broken.outcomes[0].why.startswith("Round 1 has 2 of 6 clients, below the quorum of 4")


def test_a_store_that_fails_ends_all(job_file: Path, tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*words: object, **options: object) -> None:
        raise StoreError("No space left.")

    monkeypatch.setattr("fl_core.runner.run", full)
    with pytest.raises(StoreError, match="No space left"):
        run_all(plan(job_file, [], VARY, 1, tmp_path / "out"), pool, "file://store", Heard())


def test_every_combination_is_checked_before_the_first_runs(job_file: Path, tmp_path: Path, pool: Pool) -> None:
    with pytest.raises(InputError, match=r"strategy.momentum is not an option of 'scaffold'"):
        check(job_file, plan(job_file, ["strategy.momentum=0.5"], VARY, 1, tmp_path / "out")[1:], pool, "file://store")
    with pytest.raises(InputError, match="'tanh'"):
        check(job_file, plan(job_file, [], ["program=digits,tanh"], 1, tmp_path / "out"), pool, "file://store")
    assert not (tmp_path / "out").exists()


def test_a_target_that_the_program_does_not_measure_is_refused_before_anything_runs(job_file: Path, tmp_path: Path, pool: Pool) -> None:
    planned = plan(job_file, [], VARY, 1, tmp_path / "out")
    check(job_file, planned, pool, "file://store", Target("accuracy", 0.9))
    with pytest.raises(InputError, match=r"^--target accurcy is nothing that the program measures; did you mean 'accuracy'"):
        check(job_file, planned, pool, "file://store", Target("accurcy", 0.9))


def test_a_folder_with_another_jobs_run_is_not_taken_for_this_ones(job_file: Path, tmp_path: Path, pool: Pool) -> None:
    run_all(plan(job_file, [], [], 1, tmp_path / "out"), pool, "file://store", Heard())
    with pytest.raises(InputError, match="seed-5 holds a run of another job; choose another folder with --out"):
        check(job_file, plan(job_file, ["quorum=0.5"], [], 1, tmp_path / "out"), pool, "file://store")


def test_runs_are_found_in_folders_of_folders_but_not_in_private_places(tmp_path: Path) -> None:
    for name in ("a/seed-1", "a/seed-1.private", "b/seed-1", "b/.hidden/seed-2", "1/2/3/4/seed-3"):
        (tmp_path / name / "job").mkdir(parents=True)
        (tmp_path / name / "job/manifest.json").touch()
    below = [str(tmp_path / "a/seed-1"), str(tmp_path / "b/seed-1")]
    assert find_runs([str(tmp_path)]) == below
    assert find_runs([below[1], str(tmp_path / "a"), "s3://bucket/runs/x", below[1]]) == [below[1], below[0], "s3://bucket/runs/x"]
    with pytest.raises(InputError, match=r"There is no run in .*/1. or 3 folders deep below it"):
        find_runs([str(tmp_path / "1")])


def test_runs_are_found_in_the_order_of_the_numbers_in_their_names(tmp_path: Path) -> None:
    assert doctest.testmod(fl_core.comparison_runs).failed == 0
    below = [str(tmp_path / f"local_epochs={epochs}") for epochs in (1, 5, 20)]
    for name in below:
        (Path(name) / "job").mkdir(parents=True)
        (Path(name) / "job/manifest.json").touch()
    assert find_runs([str(tmp_path)]) == below
