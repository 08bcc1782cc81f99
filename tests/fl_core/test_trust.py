"""Nothing that a store's administrator or a foreign server puts in place of a run's job or code is run; twins without the pin run it."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from fl_core import generator, live, resume
from fl_core.errors import FederationError, InputError, SignatureError
from fl_core.fork import fork
from fl_core.job import Job, parse_job
from fl_core.pool import Pool
from fl_core.report import render
from fl_core.run_folder import MANIFEST, Run, open_at, plan_key
from fl_core.runner import begin, new_run, open_run
from fl_core.scheduler import plan
from fl_core.signing import make_key, new_key, own_key, public_key
from fl_core.stage import open_run_at
from fl_core.status import status_of
from fl_core.store import PRIVATE, DictStore, FileStore
from fl_core.trust import known_server_key, meet, met_server_key
from fl_core.verify import verify
from fl_core.worker import take_part
from tests.fl_core.swaps import swap_code
from tests.jobs import DIGITS

GOOD = "from fl_core.strategies.fed_avg import fed_avg\ndef mine(): return fed_avg(batch_size=32)\n"


def job_of() -> Job:
    return parse_job(DIGITS, ["strategy='good.py:mine'", "rounds=1"], code={"good.py": GOOD})


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> Path:
    """A run that is planned and has no replies."""
    one = new_run(job_of(), out=tmp_path_factory.mktemp("trust") / "run")
    begin(one, pool)
    plan(one, 1)
    return Path(one.store.uri.removeprefix("file://"))


@pytest.fixture
def folder(begun: Path, tmp_path: Path) -> Path:
    shutil.copytree(begun.with_name("run.private"), tmp_path / "run.private")
    return Path(shutil.copytree(begun, tmp_path / "run"))


OPEN: dict[str, Callable[[Path], object]] = {
    "resume": lambda folder: resume(folder, processes=1),
    "fork": lambda folder: fork(folder, 1, folder.with_name("new")),
    "a task": lambda folder: open_run_at("", f"file://{folder}").strategy,
    "serve": lambda folder: live.serve(Run("run", job_of(), FileStore(folder), FileStore(folder.with_name("run.private"), PRIVATE)), start_seconds=0.01),
}


@pytest.mark.parametrize("door", OPEN)
def test_swapped_code_under_a_manifest_of_another_key_is_not_run(folder: Path, door: str) -> None:
    mark = swap_code(folder)
    with pytest.raises(SignatureError, match=r"not by the server key .* that is known here; somebody else leads this run, or changed its job"):
        OPEN[door](folder)
    assert not mark.exists()


@pytest.mark.parametrize("door", ["resume", "fork", "a task"])
def test_were_the_servers_key_not_known_swapped_code_would_run(folder: Path, door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("runner", "stage"):
        monkeypatch.setattr(f"fl_core.{module}.known_server_key", lambda private, place: "")
    mark = swap_code(folder)
    with suppress(FederationError):  # it goes wrong later, because the records are not the new key's
        OPEN[door](folder)
    assert mark.exists()


@pytest.mark.parametrize("door", ["resume", "fork"])
def test_nothing_of_a_run_is_run_where_its_servers_key_does_not_lie(folder: Path, door: str) -> None:
    mark = swap_code(folder)
    shutil.rmtree(folder.with_name("run.private"))
    with pytest.raises(InputError, match=r"There is no private key of 'server' in .*; only where it lies can 'server' sign"):
        OPEN[door](folder)
    assert not mark.exists()


@pytest.mark.parametrize("door", ["resume", "fork"])
def test_a_run_that_is_served_is_gone_on_with_by_its_server(folder: Path, door: str) -> None:
    shutil.rmtree(folder.with_name("run.private"))
    FileStore(folder).swap("status.json", None, b'{"status":"running","why":""}')
    with pytest.raises(InputError, match=r"is led by `fl serve`, with workers elsewhere: the same `fl serve` command again goes on with it"):
        OPEN[door](folder)


def at_work(folder: Path) -> Run:
    """The run as a process sees it that has begun to work on it."""
    one = open_run(folder)
    assert one.strategy.exchanges
    assert one.record(plan_key(1))
    return one


def test_a_training_process_runs_the_job_that_its_parent_checked(folder: Path, pool: Pool) -> None:
    one = at_work(folder)
    pool.about(one.address)
    mark = swap_code(folder)
    with pytest.raises(SignatureError, match=rf"'{MANIFEST}' in .* is not the one that was checked \(sha256 .*…\); it was swapped"):
        take_part(one, 1, ["worker-0"], pool)
    assert not mark.exists()


def test_a_training_process_without_the_pin_would_run_what_was_swapped_in(folder: Path, pool: Pool) -> None:
    one = at_work(folder)
    pool.about({**one.address, "manifest": ""})
    mark = swap_code(folder)
    with pytest.raises(SignatureError):  # the records are not the new key's, but the code has run by then
        take_part(one, 1, ["worker-0"], pool)
    assert mark.exists()


def test_a_run_that_was_opened_stays_the_one_that_it_was(folder: Path) -> None:
    one = open_run(folder)
    swap_code(folder)
    again = replace(one)
    with pytest.raises(SignatureError, match="it was swapped"):
        _ = again.manifest


@pytest.mark.parametrize("is_known", [True, False])
def test_verification_runs_the_strategy_only_of_the_server_whose_key_is_given(folder: Path, is_known: bool) -> None:
    server = FileStore(folder.with_name("run.private"))
    mark = swap_code(folder, own_key(server, "server"))
    result = verify(FileStore(folder), None if is_known else public_key(new_key()))
    assert mark.exists() == is_known
    if not is_known:
        assert len(result.found) == 1
        assert "not by the server key" in result.found[0]


def test_who_asks_how_a_strangers_run_stands_runs_nothing_of_it(folder: Path) -> None:
    mark = swap_code(folder, own_key(FileStore(folder.with_name("run.private")), "server"))
    one = open_run(folder)
    assert [worker["standing"] for worker in status_of(one)["workers"]] == ["is waited for: 0 of 1 parts of round 1 are there"] * 2
    assert render(one)
    assert not mark.exists()


def test_a_job_that_was_edited_is_read_once_and_refused(folder: Path) -> None:
    one = open_run(folder)
    (folder / "job/code/good.py").write_text("evil")
    with pytest.raises(InputError, match=r"'job/code/good.py' in .* was changed after the run began"):
        open_at(one.store, one.private)


# ---- whom a role takes for the server ---------------------------------------------------------------------------------------------------------


def test_the_first_server_that_is_met_in_a_store_is_trusted_in_all_its_runs_and_no_other_is() -> None:
    said: list[str] = []
    private, root = DictStore({}), DictStore({}, "root/")
    first, other = (public_key(new_key()) for _ in range(2))
    meet(private, root.at("runs/spring"), first, said.append)
    meet(private, root.at("runs/summer"), first, said.append)
    assert said == [f"meets the server's key {first} for the first time and trusts it from now on"]
    with pytest.raises(SignatureError, match=r"is signed by the server key .*, which is not the one met before in this store; somebody else leads it"):
        meet(private, root.at("runs/autumn"), other, said.append)
    meet(private, DictStore({}, "elsewhere/").at("runs/spring"), other, said.append)
    assert len(said) == 2
    assert met_server_key(private, root.at("runs/winter")) == first


def test_a_role_that_is_the_server_knows_its_own_key() -> None:
    private, place = DictStore({}), DictStore({}, "root/runs/spring/")
    assert known_server_key(private, place) == ""
    meet(private, place, public_key(new_key()), lambda line: None)
    assert known_server_key(private, place) == met_server_key(private, place)
    assert known_server_key(private, place) != make_key(private, "server") == known_server_key(private, place)


def test_two_runs_in_a_row_are_led_and_joined_as_the_guide_says(tmp_path: Path, nursery: str) -> None:
    root, server, house = (FileStore(tmp_path / name) for name in ("root", "server", "house"))
    job, said = job_of(), []
    for name in ("spring", "summer"):
        place = root.at(f"runs/{name}")
        generator.write_job(Run(name, job, place, server), keys="roster")
        with Pool(1, nursery) as pool, pytest.raises(FederationError, match="There was no plan of round 1"):
            live.work(name, place, house, "worker-0", pool, job=job, idle_seconds=0.01, tell=said.append)
    assert sum("for the first time" in line for line in said) == 1
    keys = {line.rpartition(" ")[2] for line in said if line.startswith("enrolled")}
    assert len(keys) == 1
