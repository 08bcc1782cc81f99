"""Server and workers that meet only in the store give the digest of one process; who is late, missing or untrusted is named."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from fl_core import generator, run
from fl_core.errors import InputError, PolicyError, QuorumError, SignatureError, StoreError
from fl_core.job import Job, parse_job
from fl_core.live import serve, work
from fl_core.pool import Pool
from fl_core.run_folder import Run, card_key, close_key, evaluation_key, metrics_key, plan_key
from fl_core.runner import Progress, Result
from fl_core.signing import make_key, new_key, public_key
from fl_core.status import status_of
from fl_core.store import PRIVATE, FileStore
from fl_core.trust import meet
from fl_core.verify import verify
from fl_core.waiting import wait_until
from tests.jobs import DIGITS, MISBEHAVING, misbehaving_job, tiny_job

Start = Callable[..., Future]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


@pytest.fixture
def start(threads: ThreadPoolExecutor, tmp_path: Path, nursery: str) -> Start:
    """Starts a process of a worker, as a thread with a training process of its own."""

    def begin(job: Job, worker: str, **options: object) -> Future:
        def take_part() -> int:
            with Pool(1, nursery) as pool:
                return work("r", FileStore(tmp_path / "run"), FileStore(tmp_path / worker, PRIVATE), worker, pool, job=job, **{"start_seconds": 60, **options})

        return threads.submit(take_part)

    return begin


def lead(job: Job, tmp_path: Path, seconds: float = 60) -> Result:
    return serve(Run("r", job, FileStore(tmp_path / "run"), FileStore(tmp_path / "server", PRIVATE)), start_seconds=seconds)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> str:
    return run(tiny_job(), out=tmp_path_factory.mktemp("undisturbed") / "run", pool=pool).digest


def test_a_federation_over_the_store_ends_in_the_digest_of_one_process(tmp_path: Path, start: Start, undisturbed: str) -> None:
    job = tiny_job("federation.workers=3", "federation.parts=2")
    workers = [start(job, f"worker-{i}") for i in (0, 1, 2, 2)]
    result = lead(job, tmp_path)
    assert [worker.result(60) for worker in workers] == [3, 3, 3, 3]
    assert result.digest == undisturbed
    assert result.summary["runner"] == "live"
    assert {key.split("/")[1] for key in result.run.store.list("rounds/") if "/train/" in key} == {"0003"}  # keep_updates: last_round
    assert verify(FileStore(tmp_path / "run")).found == []
    assert [entry["standing"] for entry in status_of(result.run)["workers"]] == ["is done"] * 3


def test_asynchronous_rounds_over_the_store_end_in_the_digest_of_one_process(tmp_path: Path, start: Start, pool: Pool) -> None:
    strategy = "strategy={name: fed_buff, clients_in_flight: 3, buffer_size: 2, batch_size: 32, devices: {spread: 4}}"
    job = tiny_job(strategy, "rounds=4", "federation.parts=2")
    workers = [start(job, f"worker-{i}") for i in (0, 1, 1)]
    result = lead(job, tmp_path)
    assert [worker.result(60) for worker in workers] == [4, 4, 4]
    assert result.digest == run(job, out=tmp_path / "alone", pool=pool).digest
    assert any("bases" in result.run.record(plan_key(round)) for round in range(1, 5))
    assert verify(FileStore(tmp_path / "run")).found == []


def test_held_out_parts_are_measured_by_their_own_workers(tmp_path: Path, start: Start, pool: Pool) -> None:
    job = tiny_job("data.held_out=0.25", "evaluate.on=both", "stop_when={accuracy: 0.5}", "rounds=9")
    workers = [start(job, f"worker-{i}") for i in range(2)]
    live = lead(job, tmp_path)
    for worker in workers:
        worker.result(60)
    alone = run(job, out=tmp_path / "alone", pool=pool)
    assert live.digest == alone.digest
    assert live.metrics == alone.metrics
    assert live.summary["rounds"] < 9


def test_an_evaluation_is_merged_once_it_was_waited_for_and_not_before(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def progress_of(run: Run, round: int, measured: int, seconds: float, *, is_new: bool) -> None:
        asked.append((round, measured))

    monkeypatch.setattr("fl_core.live.progress_of", progress_of)
    job = tiny_job("rounds=4", "evaluate.every_rounds=2")
    workers = [start(job, f"worker-{i}") for i in range(2)]
    serve(Run("r", job, FileStore(tmp_path / "run"), FileStore(tmp_path / "server", PRIVATE)), start_seconds=60, on_round=lambda progress: None)
    assert [worker.result(60) for worker in workers] == [4, 4]
    assert asked == [(1, 1), (2, 1), (3, 1), (4, 3)]


def test_an_evaluation_that_is_refused_stops_nobody(tmp_path: Path, start: Start) -> None:
    job = tiny_job("data.held_out=0.25", "evaluate.on=both")
    FileStore(tmp_path / "run").put(evaluation_key(2, "worker-1"), b"garbage")
    workers = [start(job, f"worker-{i}") for i in range(2)]
    result = lead(job, tmp_path)
    assert [worker.result(60) for worker in workers] == [3, 3]
    assert list(result.run.record(metrics_key(2))["refused"]) == ["worker-1"]
    assert "accuracy_held_out" in result.metrics
    assert verify(FileStore(tmp_path / "run")).found == []


def test_who_does_not_come_is_named(tmp_path: Path, start: Start) -> None:
    job, store = tiny_job("federation.workers=3"), FileStore(tmp_path / "run")
    generator.write_job(Run("r", job, store, FileStore(tmp_path / "server", PRIVATE)), keys="roster")
    worker = start(job, "worker-1")
    assert wait_until(lambda: store.exists(card_key("worker-1")), 60)
    with pytest.raises(QuorumError, match=r"did not come together within 0.1 s: worker-0, worker-2 did not arrive"):
        lead(job, tmp_path, seconds=0.1)
    with pytest.raises(PolicyError, match=r"The server stopped the run: The federation did not come together"):
        worker.result(60)


HOSPITALS = """
format: 1
name: hospitals
program: {name: logistic, features: 2}
optimizer: {name: SGD, learning_rate: 0.1}
data: digits
federation:
  workers:
    - {name: north, data: {name: csv, path: FOLDER/north.csv, label: dx, test_share: 0.5}}
    - {name: south, data: {name: csv, path: FOLDER/south.csv, label: dx, test_share: 0.5}}
rounds: 1
"""


def test_mended_data_need_another_run_and_both_sides_say_so(tmp_path: Path, start: Start) -> None:
    job = parse_job(HOSPITALS.replace("FOLDER", str(tmp_path)))
    table = "age,pressure,dx\n" + "40,90,0\n50,80,1\n" * 4
    (tmp_path / "north.csv").write_text(table)
    (tmp_path / "south.csv").write_text(table.replace("age,pressure", "pressure,age"))
    workers = [start(job, name) for name in ("north", "south")]
    told = r"Feature 1 of the worker 'south' is 'pressure', .* as data.features; then use another --run, for the cards of this one are fixed\."
    with pytest.raises(InputError, match=told):
        lead(job, tmp_path)
    for worker in workers:
        with pytest.raises(PolicyError, match=f"The server stopped the run: {told}"):
            worker.result(60)
    (tmp_path / "south.csv").write_text(table)
    with pytest.raises(InputError, match=r"The card of 'south' in this run describes other data than are opened now; use another --run, for the cards"):
        start(job, "south").result(60)
    with pytest.raises(PolicyError, match="The server stopped the run"):
        start(job, "north", start_seconds=0.1).result(60)


def test_a_worker_past_the_deadline_is_left_out_and_the_others_go_on(tmp_path: Path, start: Start) -> None:
    job = misbehaving_job(tmp_path, "hang", "retries=0", "deadline_seconds=4", "quorum=0.3", "rounds=2")
    workers = [start(job, f"worker-{i}") for i in range(2)]
    result = lead(job, tmp_path)
    assert {(f["worker"], f["round"]) for f in result.summary["failures"]} == {("worker-0", 2)}
    for worker in workers:
        worker.result(120)


def test_a_program_that_is_not_the_pinned_one_is_not_run(tmp_path: Path, start: Start) -> None:
    own = parse_job(DIGITS, ["strategy=bad.py:misbehave"], code={"bad.py": MISBEHAVING})
    worker = start(own, "worker-0")
    with pytest.raises(QuorumError):
        lead(tiny_job(), tmp_path, seconds=0.1)
    with pytest.raises(SignatureError, match=r"The run's program has sha256 .*review it .* or say --trust-any-program"):
        worker.result(60)


def test_a_program_that_is_not_the_pinned_one_is_run_where_the_house_says_so(tmp_path: Path, start: Start) -> None:
    own = parse_job(DIGITS, ["strategy=bad.py:misbehave", "rounds=1"], code={"bad.py": MISBEHAVING})
    said: list[str] = []
    workers = [start(own, f"worker-{i}", trust_any_program=True, tell=said.append) for i in range(2)]
    assert lead(tiny_job("rounds=1"), tmp_path).summary["rounds"] == 1
    for worker in workers:
        worker.result(60)
    assert sum("because --trust-any-program was said" in line for line in said) == 2
    assert sum("enrolled 'worker-" in line for line in said) == 2


def test_a_server_with_another_key_than_the_one_met_before_is_refused(tmp_path: Path, start: Start) -> None:
    meet(FileStore(tmp_path / "worker-0", PRIVATE), FileStore(tmp_path / "run"), public_key(new_key()), lambda line: None)
    worker = start(tiny_job(), "worker-0")
    with pytest.raises(QuorumError):
        lead(tiny_job(), tmp_path, seconds=0.1)
    with pytest.raises(SignatureError, match=r"which is not the one met before in this store; somebody else leads it"):
        worker.result(60)


def test_a_worker_whose_key_is_not_the_one_in_the_roster_is_left_out(tmp_path: Path, start: Start) -> None:
    true_key = make_key(FileStore(tmp_path / "worker-0", PRIVATE), "worker-0")
    roster = f"federation.workers=[{{name: worker-0, public_key: '{true_key}'}}, {{name: worker-1, public_key: '{public_key(new_key())}'}}]"
    job = tiny_job(roster, "quorum=0.1", "rounds=1")
    workers = [start(job, f"worker-{i}") for i in range(2)]
    with pytest.raises(SignatureError, match=r"'job/cards/worker-1.json' does not carry the signature of 'worker-1'"):
        lead(job, tmp_path)
    for worker in workers:
        with pytest.raises((PolicyError, StoreError)):
            worker.result(60)


def test_a_finished_run_is_returned_as_it_is(tmp_path: Path, start: Start) -> None:
    job = tiny_job("rounds=1")
    workers = [start(job, f"worker-{i}") for i in range(2)]
    first = lead(job, tmp_path)
    for worker in workers:
        worker.result(60)
    assert lead(job, tmp_path).summary == first.summary
    assert start(job, "worker-1").result(60) == 1


def test_a_run_of_another_job_is_not_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(QuorumError):
        lead(tiny_job(), tmp_path, seconds=0.01)
    with pytest.raises(InputError, match=r"holds a run of another job; give this run another name"):
        lead(tiny_job("seed=6"), tmp_path, seconds=0.01)


def test_a_worker_gives_up_where_no_run_appears(tmp_path: Path, start: Start) -> None:
    with pytest.raises(StoreError, match=r"There is no run 'r' in .* after 0.1 s; is `fl serve` running\?"):
        start(tiny_job(), "worker-0", start_seconds=0.1).result(30)


# The clients that start in round 1 at the first worker, which evaluates, too, are as slow as four rounds of the others.
SLOW = """
import time
from dataclasses import replace
from pathlib import Path
from fl_core.strategies.fed_buff import fed_buff

def patient(folder: str, slow: list[str]):
    base = fed_buff(buffer_size=2, clients_in_flight=6, batch_size=32, arrivals="measured")
    trip = base.exchanges[0]
    def at_worker(client, state, memory, message):
        for _ in range(6000):
            if client.name not in slow or state.round > 1 or Path(folder, "rounds/0004/close.json").exists():
                return trip.at_worker(client, state, memory, message)
            time.sleep(0.01)
        raise RuntimeError("the others waited")
    return replace(base, exchanges=(replace(trip, at_worker=at_worker),))
"""


def measured_job(tmp_path: Path, *overrides: str) -> Job:
    slow = "[client-0, client-1, client-2]"
    strategy = f"strategy={{name: 'slow.py:patient', folder: '{tmp_path / 'run'}', slow: {slow}}}"
    return parse_job(DIGITS, [strategy, "rounds=8", "optimizer.learning_rate=0.1", "keep_updates=all", *overrides], code={"slow.py": SLOW})


def bases_of(result: Result) -> list[dict[str, int]]:
    return [result.run.record(close_key(round))["bases"] for round in range(1, result.summary["rounds"] + 1)]


def test_a_slow_worker_holds_up_no_other_where_arrivals_are_measured(tmp_path: Path, start: Start) -> None:
    job = measured_job(tmp_path)
    workers = [start(job, f"worker-{i}") for i in (0, 1, 1)]
    result = lead(job, tmp_path)
    assert [worker.result(120) for worker in workers] == [8, 8, 8]
    bases = bases_of(result)
    assert all(set(round) <= {"client-3", "client-4", "client-5"} for round in bases[:4])
    assert {base for round in bases[4:] for client, base in round.items() if client in ("client-0", "client-1", "client-2")} >= {1}
    assert [len(round) for round in bases] == [2] * 8
    assert "accuracy" in result.metrics
    assert result.summary["reproducible"].startswith("arrivals: measured")
    found = verify(FileStore(tmp_path / "run"))
    assert (found.found, found.replayed) == ([], [1, 2, 3, 4, 5, 6, 7, 8])


def test_a_server_that_dies_and_comes_back_loses_no_reply_and_counts_none_twice(tmp_path: Path, start: Start) -> None:
    job = measured_job(tmp_path)
    run_of = Run("r", job, FileStore(tmp_path / "run"), FileStore(tmp_path / "server", PRIVATE))

    def die(progress: Progress) -> None:
        if progress.round in (2, 5):
            raise ConnectionError("it died")

    workers = [start(job, f"worker-{i}") for i in range(2)]
    for _ in range(2):
        with pytest.raises(ConnectionError):
            serve(replace(run_of), start_seconds=60, on_round=die)
    result = lead(job, tmp_path)
    assert [worker.result(120) for worker in workers] == [8, 8]
    counted = [(client, base) for round in bases_of(result) for client, base in round.items()]
    assert len(set(counted)) == len(counted) == 16
    assert verify(FileStore(tmp_path / "run")).found == []
