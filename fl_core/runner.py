"""The `process` runner: calls the stages of every round in turn, on a pool of warm training processes. Also the Python door, `run(load_job(...))`."""

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fl_core import generator, report, scheduler, server, worker
from fl_core.codec import Record
from fl_core.errors import InputError
from fl_core.federation import read_population
from fl_core.job import Job
from fl_core.journal import staged
from fl_core.pool import Call, Pool
from fl_core.publication import publish, registry_of
from fl_core.replies import Replies
from fl_core.run_folder import MANIFEST, Run, card_key, close_key, open_at, plan_key
from fl_core.seat import STATUS
from fl_core.section import FILE_NAME, NAME_RULE
from fl_core.signing import SERVER, own_key
from fl_core.store import PRIVATE, FileStore, Store, open_private, open_store
from fl_core.strategy import check_waits
from fl_core.summary import examples_of, merge_metrics, write_summary
from fl_core.trust import known_server_key
from fl_core.types import RoundState, Weights


@dataclass(frozen=True)
class Result:
    """A finished run: its summary (see `summary.json`) and where it lies."""

    run: Run
    summary: Record

    @property
    def metrics(self) -> dict[str, float]:
        return dict(self.summary["metrics"])

    @property
    def digest(self) -> str:
        return str(self.summary["digest"])

    @property
    def report(self) -> str:
        """Where the report page lies."""
        return f"{self.run.store.uri}/report.html".removeprefix("file://")

    @property
    def weights(self) -> Weights:
        return self.run.state(self.run.last_round()).weights


@dataclass(frozen=True)
class Progress:
    """How far a run is after a round: of `rounds` at most, the newest metrics, and the round's examples and seconds; `run` has all else. `measured` is the
    round after which the metrics were measured, all but `train_loss`, which is the round's own. A round that was found done has no examples."""

    round: int
    rounds: int
    metrics: Mapping[str, float]
    examples: int
    seconds: float
    run: Run
    measured: int


OnRound = Callable[[Progress], None]


def run(
    job: Job,
    *,
    store: str = "file://store",
    out: str | Path | None = None,
    name: str | None = None,
    processes: int | None = None,
    strategy: Any = None,
    data: Any = None,
    program: Any = None,
    on_round: OnRound | None = None,
    pool: Pool | None = None,
) -> Result:
    """Trains the job to its end in this process and its pool, and gives the result.

    The run lies in `out`, or under STORE/runs/`name` (default: the job's name and the time). `strategy`, `data` and `program` are Python objects
    that stand in for what the job names. `processes` defaults to one a core. `on_round` hears of every round.
    Raises InputError for what is wrong, QuorumError where too few clients answered; what is done by then stays and can be resumed.
    """
    given = {key: value for key, value in {"strategy": strategy, "data": data, "program": program}.items() if value is not None}
    one = new_run(job, store=store, out=out, name=name, given=given)
    with _at_hand(pool, processes) as open_pool:
        begin(one, open_pool)
        return go_on(one, open_pool, on_round=on_round)


def resume(folder: str | Path, *, store: str = "", processes: int | None = None, on_round: OnRound | None = None, pool: Pool | None = None) -> Result:
    """Goes on with the run in a folder (or at a store's URI) where it stopped; a finished one is returned as it is."""
    one = open_run(folder, store)
    summary = one.find("summary.json")
    if summary is not None:
        return Result(one, summary)
    given = one.manifest["given"]
    if given:
        raise InputError(f"This run was given its {' and '.join(given)} in Python; start it again there, it cannot be resumed from its folder.")
    check_is_leader(one)
    check_waits(one.strategy, one.job.strategy.name)
    server.forget_failed_replies(one, one.last_round())
    with _at_hand(pool, processes) as open_pool:
        return go_on(one, open_pool, on_round=on_round, resumed_from=one.last_round() - 1)


def check_is_leader(one: Run) -> None:
    """InputError where the server's key does not lie here: who cannot sign cannot have led the run, and nothing of a stranger's is run."""
    if one.store.exists(STATUS) and not one.private.exists(f"keys/{SERVER}"):
        raise InputError(f"{one.store.uri} is led by `fl serve`, with workers elsewhere: the same `fl serve` command again goes on with it.")
    own_key(one.private, SERVER)


def _at_hand(pool: Pool | None, processes: int | None) -> AbstractContextManager[Pool]:
    """The pool that was given, which stays open for its owner, or one of its own."""
    return nullcontext(pool) if pool else Pool(processes)


def new_run(job: Job, *, store: str = "file://store", out: str | Path | None = None, name: str | None = None, given: Mapping[str, Any] | None = None) -> Run:
    """A run that does not exist yet; InputError where its folder does or cannot be made. Leaves nothing behind."""
    name = name_of(job, out, name)
    if not FILE_NAME.fullmatch(name):
        raise InputError(f"The run's name is '{name}'; {NAME_RULE}")
    place = FileStore(Path(out)) if out else open_store(store).at(f"runs/{name}")
    there = place.list("")
    if any(not key.startswith(("job/", "rounds/0001/state")) for key in there) or place.exists(MANIFEST):
        raise InputError(f"{place.uri} exists; give the run another name, or go on with it with `fl resume`.")
    if isinstance(place, FileStore) and place.root.exists() and not place.root.is_dir():
        raise InputError(f"{place.root} is a file; a run needs a folder of its own.")
    check_writable(place)
    one = Run(name, job, place, private_store(place), dict(given or {}), root=open_store(store))
    check_waits(one.strategy, job.strategy.name)
    return one


def name_of(job: Job, out: str | Path | None, name: str | None) -> str:
    """The run's name: as given, or its folder's, or the job's and the time."""
    return name or (Path(out).absolute().name if out else f"{job.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}")


def open_run(folder: str | Path, store: str = "") -> Run:
    """The run in a folder or at a URI; InputError where there is none, SignatureError where another server signed it than the one whose key lies beside
    it. `store` is the one whose registry it publishes to, where it lies in no store."""
    place = open_store(str(folder))
    private = private_store(place)
    return open_at(place, private, server_key=known_server_key(private, place), root=open_store(store) if store else None)


def private_store(place: Store) -> Store:
    """Where keys and clients' memory lie: beside the run's folder, or a store's, outside of what is shared."""
    if isinstance(place, FileStore):
        return FileStore(place.root.with_name(f"{place.root.name}.private"), PRIVATE)
    return FileStore(Path("private") / place.uri.rpartition("/")[2], PRIVATE)


def private_of(root: str, private: str | None) -> Store:
    """A role's private place: the one that was named, or the one beside the store."""
    return open_private(private) if private else private_store(open_store(root))


def begin(one: Run, pool: Pool) -> None:
    """Checks the job against its program and data, then writes it whole; InputError leaves nothing behind."""
    state, facts, cards = check(one, pool)
    generator.write(one, state, facts, cards)


def check(one: Run, pool: Pool) -> tuple[RoundState, Record, dict[str, Record]]:
    """The first state, facts and data cards of a job that fits its program and data; InputError where it does not. Writes nothing."""
    state, facts = generator.check(one.job, pool, one.given, registry_of(one))
    names = [section.name for section in one.job.workers]
    # Processes that would wait for the cards open the data meanwhile, which often is what takes a card its time; one a worker, because each keeps a copy.
    ahead = [Call("open_ahead", {"worker": name}) for name in names][: max(0, pool.processes - len(names))]
    records = worker.call_until_done(one, pool, [*(Call("card", {"worker": name}) for name in names), *ahead])
    cards = dict(zip(names, records, strict=False))
    _check_population(one, state, cards)
    return state, facts, cards


def _check_population(one: Run, state: RoundState, cards: Mapping[str, Record]) -> None:
    """What can only be known once all cards are there: enough clients, a test set to evaluate on."""
    people = read_population(one.job, cards.__getitem__)
    if one.job.evaluate.on != "held_out" and not cards[one.job.workers[0].name]["test"]:
        raise InputError("evaluate.on is 'test', but the data of the first worker have no test set; give one, or evaluate on 'held_out'.")
    scheduler.draw(one, people, 1, state.memory)


def check_writable(store: Store) -> None:
    """InputError where the run's folder cannot be made: a file is in its way, or the folder above takes nothing. Tries it and leaves nothing."""
    if not isinstance(store, FileStore):
        return
    above = store.root
    while not above.exists():
        above = above.parent
    try:
        with tempfile.TemporaryDirectory(dir=above, prefix=".fl-"):
            return
    except OSError as error:
        raise InputError(f"The run cannot be written to {store.root}: {above} takes no folder ({error.strerror}); choose another place.") from error


def go_on(one: Run, pool: Pool, *, on_round: OnRound | None = None, resumed_from: int | None = None) -> Result:
    """Calls the stages of every round that is not done, then finishes the run."""
    start = time.perf_counter()
    pool.about(one.address, one.given)
    names = [section.name for section in one.job.workers]
    for name in names:
        if not one.store.exists(card_key(name)):  # the run began in a pipeline that ended before its cards were made
            worker.prepare(one, name, pool)
    measuring = worker.evaluators(one)
    first = max(one.last_round(), 1)
    _stage(one, "evaluate", first, lambda: worker.evaluate(one, first, measuring, pool))
    parts = 1 if pool.processes == 1 else max(1, -(-2 * pool.processes // len(names)))  # several for each process, so that none waits for long
    round = max(first - 1, 1)
    while True:
        begun = time.perf_counter()
        _stage(one, "select", round, lambda: scheduler.plan(one, round, parts))  # noqa: B023
        plan = one.record(plan_key(round))
        if plan["finished"]:
            break
        replies = None
        if not one.store.exists(close_key(round)):
            for exchange, trip in enumerate(one.strategy.exchanges):
                replies = Replies(one, plan, trip)
                _stage(one, "train", round, lambda: worker.take_part(one, round, names, pool, exchange, replies.take))  # noqa: B023
                if exchange + 1 < len(one.strategy.exchanges):
                    server.answer(one, round, exchange, replies)
        _stage(one, "close", round, lambda: server.aggregate(one, round, len(one.strategy.exchanges) - 1, replies))  # noqa: B023
        _stage(one, "evaluate", round + 1, lambda: worker.evaluate(one, round + 1, measuring, pool))  # noqa: B023
        if on_round:
            on_round(progress_of(one, round, round + 1, time.perf_counter() - begun, is_new=replies is not None))
        round += 1
    seconds = time.perf_counter() - start
    facts = {"runner": "process", "seconds": seconds, "rounds_per_second": (round - max(first, 1)) / seconds, "resumed_from": resumed_from}
    summary = finish(one, facts)
    report.write(one)
    return Result(one, summary)


def finish(one: Run, facts: Mapping[str, Any]) -> Record:
    """Writes model and summary once the scheduler has found the job finished, and publishes where the job says so; `facts` are the runner's own."""
    if not scheduler.plan(one, one.last_round())["finished"]:
        raise InputError(f"The run '{one.name}' has done {one.last_round() - 1} of {one.job.rounds} rounds; go on with it before it is finished.")
    return write_summary(one, facts, publish if one.job.publish else None)


def _stage(one: Run, stage: str, round: int, call: Callable[[], Any]) -> None:
    with staged(one, stage, round):
        call()


def progress_of(one: Run, round: int, measured: int, seconds: float, *, is_new: bool = True) -> Progress:
    """How far the run is after a round that is closed; `measured` is the round whose first state's metrics are shown, `is_new` whether the round was trained
    in these seconds."""
    closed = one.record(close_key(round))
    losses = [figures["loss"] for figures in closed["clients"].values() if "loss" in figures]
    found = merge_metrics(one, measured) or {"metrics": {}}
    metrics = dict(found["metrics"]) | ({"train_loss": sum(losses) / len(losses)} if losses else {})
    return Progress(round, one.job.rounds, metrics, examples_of(closed) if is_new else 0, seconds, one, measured - 1)


def last_progress(result: Result) -> Progress | None:
    """How far a finished run came, at the speed of its mean round, for what hears of rounds and was not there; None where it did no round."""
    rounds = result.summary["rounds"]
    return progress_of(result.run, rounds, rounds + 1, result.summary["seconds"] / rounds) if rounds else None
