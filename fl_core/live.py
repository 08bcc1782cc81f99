"""The federation over the store: the server's loop and a worker's, each a process of its own. They meet in the store and nowhere else.

Either may die at any moment and be started again: what is done is found done. Everything that waits has a deadline.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from fl_core import asynchronous, generator, report, scheduler, server, worker
from fl_core.codec import Record, encode_record, encode_state
from fl_core.errors import InputError, KeyMissing, PolicyError, QuorumError, StoreError
from fl_core.federation import worker_section
from fl_core.house import check_agreed, house_job
from fl_core.job import Job
from fl_core.journal import elapsed_seconds, holding, journal, let_out, staged
from fl_core.lease import Leases
from fl_core.pool import Pool
from fl_core.publication import registry_of
from fl_core.replies import Replies
from fl_core.run_folder import MANIFEST, Run, card_key, close_key, evaluation_key, message_key, open_at, plan_key, signer_of, state_key
from fl_core.runner import OnRound, Result, finish, progress_of
from fl_core.seat import STATUS, STATUS_SECONDS, Seat, check_status, measure, status_said
from fl_core.signing import SERVER, own_key, public_key
from fl_core.sole_writer import SoleWriter
from fl_core.store import Store
from fl_core.trust import meet
from fl_core.types import Task
from fl_core.waiting import Rhythm, wait_until
from fl_core.worker import HUNG_SECONDS, tasks_of

START_SECONDS = 600.0
IDLE_SECONDS = 86_400.0
LATE_ROUNDS = 64
BEHIND_SECONDS = 1.0


# ---- the server -------------------------------------------------------------------------------------------------------------------------------


def serve(run: Run, *, start_seconds: float = START_SECONDS, on_round: OnRound | None = None) -> Result:
    """Leads the run to its end: waits for the workers, plans, closes. QuorumError where too few are there within `start_seconds` or answer a round."""
    if not run.store.exists(MANIFEST):
        generator.write_job(run, keys="roster")
    there = open_at(run.store, run.private, server_key=public_key(own_key(run.private, SERVER)))
    if there.job.digest != run.job.digest:
        raise InputError(f"{run.store.uri} holds a run of another job; give this run another name.")
    run = replace(run, pin=there.pin)
    summary = run.find("summary.json")
    if summary is not None:
        return Result(run, summary)
    _say(run, "running")
    try:
        summary = _lead(run, start_seconds, on_round)
    except (InputError, PolicyError) as error:  # of anything else it may recover when it is started again, and the workers wait
        _say(run, "stopped", str(error))
        raise
    _say(run, "finished")
    report.write(run)
    return Result(run, summary)


def _lead(run: Run, start_seconds: float, on_round: OnRound | None) -> Record:
    _barrier(run, start_seconds)
    _check_cards(run)
    whole, run = run, replace(run, store=SoleWriter(run.store, "rounds/", _is_servers))
    before = run.last_round()
    server.forget_failed_replies(run, before)
    round, newest, measuring, replies = max(before - 1, 1), 0, worker.evaluators(run), Rhythm()
    measurements = asynchronous.Measurements(run, measuring, before) if run.strategy.buffer_size else None
    with holding(run, SERVER):
        while True:
            begun = time.perf_counter()
            due = worker.newly_due(run.job, round, arrivals_are_measured=measurements is not None)
            due = asynchronous.still_due(run, due) if measurements else due
            _await_evaluations(run, round, due, measuring)
            is_new = round > before or not run.store.exists(close_key(round))
            if _lead_round(run, round, replies):
                break
            newest = measurements.look(round) if measurements else max(due, default=newest)
            if on_round:
                on_round(progress_of(run, round, newest, time.perf_counter() - begun, is_new=is_new))
            round += 1
    seconds = elapsed_seconds(run)
    return finish(whole, {"runner": "live", "seconds": seconds, "rounds_per_second": (round - 1) / seconds, "resumed_from": before - 1 if before > 1 else None})


def _is_servers(key: str) -> bool:
    """Whether none but the server ever writes this key of a round; the first state is a worker's."""
    return key.startswith("rounds/") and signer_of(key) == SERVER and key != state_key(1)


def _lead_round(run: Run, round: int, replies: Rhythm) -> bool:
    """Plans and closes one round; True where the plan says that the job is finished."""
    with staged(run, "select", round):
        plan = scheduler.plan(run, round)
    if round > 1:
        late = plan["finished"] or round % LATE_ROUNDS == 0
        server.forget(run, round - 1, late_ones=late)  # now, because the workers train meanwhile
    if plan["finished"]:
        return True
    if run.strategy.buffer_size:
        asynchronous.close_by_arrivals(run, plan, replies, round_seconds_max(run.job))
        return False
    gathered = None
    for exchange in range(len(run.strategy.exchanges)):
        if not run.store.exists(close_key(round)):
            with staged(run, "train", round):
                gathered = _await_replies(run, plan, exchange, replies)
            if exchange + 1 < len(run.strategy.exchanges):
                server.answer(run, round, exchange, gathered)
    with staged(run, "close", round):
        server.close(run, round, gathered)
    return False


def _barrier(run: Run, seconds: float) -> None:
    """Waits until every worker has laid down its card and the first state is there."""
    missing = [section.name for section in run.job.workers]

    def all_there() -> bool:
        missing[:] = [name for name in missing if not run.store.exists(card_key(name))]
        return not missing and bool(run.last_round())

    if not wait_until(all_there, seconds):
        who = ", ".join(missing) or f"the first state, which {run.job.workers[0].name} makes,"
        raise QuorumError(f"The federation did not come together within {seconds:g} s: {who} did not arrive.")


def _check_cards(run: Run) -> None:
    """InputError where the cards do not fit together; mending the data is not enough then, for a card is written once."""
    try:
        _ = run.population
    except InputError as error:
        raise InputError(f"{str(error).removesuffix('.')}; then use another --run, for the cards of this one are fixed.") from error


def round_seconds_max(job: Job) -> float:
    """How long the server waits for a round's replies: every attempt may take the job's deadline; without one, a day."""
    return job.deadline_seconds * (job.retries + 1) if job.deadline_seconds else IDLE_SECONDS


def _await_replies(run: Run, plan: Record, exchange: int, replies: Rhythm) -> Replies:
    """Takes the round's replies as they come. What is late is left out where the job sets a deadline; without one, QuorumError after a day."""
    gathered = Replies(run, plan, run.strategy.exchanges[exchange])

    def all_there() -> bool:
        let_out(run)
        return gathered.look()

    if not replies.wait_until(all_there, round_seconds_max(run.job)) and run.job.deadline_seconds is None:
        raise QuorumError(f"Round {plan['round']} had no reply for {IDLE_SECONDS:g} s from {', '.join(gathered.missing_workers)}.")
    return gathered


def _await_evaluations(run: Run, round: int, due: Sequence[int], measuring: Sequence[str]) -> None:
    """Waits for the evaluations that are due before the round is planned; who is late is not in them."""
    missing = [(measured, name) for measured in due for name in measuring]

    def all_there() -> bool:
        let_out(run)
        missing[:] = [(measured, name) for measured, name in missing if not run.has(evaluation_key(measured, name))]
        return not missing

    if not all_there() and not run.store.exists(plan_key(round)) and not wait_until(all_there, round_seconds_max(run.job)):
        journal(run, "late", round=round, stage="evaluate", workers=sorted({name for _, name in missing}))


def _say(run: Run, word: str, why: str = "") -> None:
    """Moves the pointer that tells waiting workers how the server is."""
    for _ in range(10):
        try:
            before = bytes(run.store.get(STATUS))
        except KeyMissing:
            before = None
        if run.store.swap(STATUS, before, encode_record({"status": word, "why": why})):
            return
    raise StoreError(f"'{STATUS}' in {run.store.uri} was moved by others ten times; is another server leading this run?")


# ---- a worker ---------------------------------------------------------------------------------------------------------------------------------


def work(
    name: str, store: Store, private: Store, worker_name: str, pool: Pool, *, job: Job, trust_any_program: bool = False,
    start_seconds: float = START_SECONDS, idle_seconds: float = HUNG_SECONDS, tell: Callable[[str], None] = lambda line: None,
    on_round: Callable[[int, float], None] = lambda round, seconds: None,
) -> int:  # fmt: skip
    """Takes part in the run called `name` as one process of a worker, until the run ends; gives the number of its rounds.

    `job` is the organisation's own copy: it says which data are opened, and pins the program and all that decides what leaves the house. SignatureError
    where these or the server's key are others; InputError where its card in a run that is yet to begin is of other data; PolicyError where the server stopped;
    StoreError where nothing moved for `idle_seconds`.
    """
    worker_section(job, worker_name)
    if not wait_until(lambda: store.exists(MANIFEST), start_seconds):
        raise StoreError(f"There is no run '{name}' in {store.uri} after {start_seconds:g} s; is `fl serve` running?")
    run = open_at(store, private)
    _check_trust(run, job, worker_name, trust_any_program, tell)
    house = house_job(run.job, job)
    context = run.address | ({} if house is run.job else {"house": house.text})
    if run.store.exists(card_key(worker_name)) and not run.store.exists(plan_key(1)):
        pool.about(context)
        worker.check_card(run, worker_name, pool)
    if not wait_until(lambda: status_said(run)["status"] != "stopped", start_seconds):  # it is yet to be led again
        check_status(run)
    _join(run, house, worker_name, pool, context, tell)
    if run.strategy.buffer_size:
        return asynchronous.work(run, worker_name, pool, idle_seconds, on_round)
    leases = Leases(private, store.uri)
    seat = Seat(run, worker_name, pool, leases, worker.measures(run, worker_name), idle_seconds, Rhythm())
    round, up_to_date = run.last_plan(), -math.inf
    with leases.renewing(), holding(run, worker_name):
        while True:
            plan, has_just_come = _await_plan(seat, round)
            if plan["finished"]:
                return round - 1
            asks = not has_just_come and time.monotonic() - up_to_date >= BEHIND_SECONDS
            if asks and run.store.exists(close_key(round)):  # the others went on meanwhile
                round = max(round + 1, run.last_plan())
                continue
            if asks or has_just_come:
                up_to_date = time.monotonic()
            begun = time.perf_counter()
            _take_part(seat, plan)
            leases.forget()
            on_round(round, time.perf_counter() - begun)
            round += 1


def _check_trust(run: Run, job: Job, name: str, trust_any_program: bool, tell: Callable[[str], None]) -> None:
    """What is run and what leaves must be what the organisation reviewed, and the server the one that it met first."""
    if not trust_any_program:
        check_agreed(run.job, job, name)
    elif run.job.program_sha256 != job.program_sha256:
        tell(f"runs the program {run.job.program_sha256[:16]}…, which is not the one pinned here, because --trust-any-program was said")
    meet(run.private, run.store, str(run.manifest["server_key"]), tell)


def _join(run: Run, house: Job, name: str, pool: Pool, context: Record, tell: Callable[[str], None]) -> None:
    """Lays down the worker's card and, where it is the first of the roster, the first state."""
    if not run.store.exists(card_key(name)):
        facts: Record = {}
        if name == run.job.workers[0].name:
            state, facts = generator.check(house, pool, root=registry_of(run))
            run.store.put(state_key(1), encode_state(state))
        pool.about(context)
        card = worker.prepare(run, name, pool, facts)
        tell(f"enrolled '{name}' with the public key {card['public_key']}")
    pool.about(context)


def _await_plan(seat: Seat, round: int) -> tuple[Record, bool]:
    """The plan of the round, and whether it came while it was waited for; the states whose evaluation it waits for are evaluated meanwhile, where that is
    this worker's to do."""
    run, asked, looks = seat.run, [time.monotonic()], [0]
    to_measure = worker.newly_due(run.job, round) if seat.measures else []

    def measure_what_is_there() -> None:
        while to_measure and run.has(state_key(to_measure[0])) and measure(seat, to_measure[0]):
            to_measure.pop(0)

    def there() -> bool:
        let_out(run)
        looks[0] += 1
        if run.find(plan_key(round)) is not None:
            return True
        measure_what_is_there()
        if time.monotonic() - asked[0] > STATUS_SECONDS:
            asked[0] = time.monotonic()
            check_status(run)
            _make_again(seat, round - 1)
        return False

    measure_what_is_there()  # at once, because the server waits for it
    if not seat.plans.wait_until(there, seat.idle_seconds):
        raise StoreError(f"There was no plan of round {round} in {run.store.uri} for {seat.idle_seconds:g} s; is the server running?")
    return run.record(plan_key(round)), looks[0] > 1


def _make_again(seat: Seat, round: int) -> None:
    """Makes those replies to an open round anew that were there and are no more: a server that came back does not take them, and waits for others."""
    run, plan = seat.run, seat.run.find(plan_key(round))
    if plan is None or run.store.exists(close_key(round)):
        return
    for exchange, trip in enumerate(run.strategy.exchanges):
        _do(seat, plan, exchange, [task for task in tasks_of(plan, trip.name, [seat.worker]) if not run.store.exists(worker.key_of(task))])


def _take_part(seat: Seat, plan: Record) -> None:
    """Does this worker's parts, those that no other process of it holds, until all are done or the round is closed. Whether it is, is not asked at first: its
    plan has just come."""
    run, round = seat.run, plan["round"]
    for exchange, trip in enumerate(run.strategy.exchanges):
        todo = tasks_of(plan, trip.name, [seat.worker])
        if exchange == 0 and _do(seat, plan, exchange, todo):
            continue
        if not wait_until(lambda: run.store.exists(close_key(round)) or _do(seat, plan, exchange, todo), seat.idle_seconds):  # noqa: B023
            raise StoreError(f"Round {round} did not move for {seat.idle_seconds:g} s; is the server running?")


def _do(seat: Seat, plan: Record, exchange: int, todo: list[Task]) -> bool:
    """Does what can be done now of `todo`, which shrinks; True once nothing is left."""
    run, round = seat.run, plan["round"]
    if not todo or (exchange and not run.store.exists(message_key(round, run.strategy.exchanges[exchange - 1].name))):
        return not todo
    mine, missing = _leased(seat, todo)
    try:
        worker.train_tasks(run, missing, seat.pool, exchange)
    except KeyMissing:
        if not run.store.exists(close_key(round)):  # otherwise it was closed meanwhile, and what it starts from forgotten
            raise
    finally:
        for task in mine:
            seat.leases.done(worker.key_of(task))
    todo[:] = [task for task in todo if task not in mine and (mine or not run.store.exists(worker.key_of(task)))]
    return not todo


def _leased(seat: Seat, todo: Sequence[Task]) -> tuple[list[Task], list[Task]]:
    """The tasks that this process may do now, as many as it has training processes, and those among them that have no reply yet."""
    mine: list[Task] = []
    missing: list[Task] = []
    for task in todo:
        key = worker.key_of(task)
        number = seat.leases.take(key) if len(mine) < seat.pool.processes else 0
        if number:
            mine.append(task)
            missing += [task] if number == 1 or not seat.run.store.exists(key) else []
    return mine, missing
