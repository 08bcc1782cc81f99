"""FL-Scheduler: decides, once, who takes part in a round, or that the job is finished."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from fl_core import exact
from fl_core.codec import Record
from fl_core.errors import FederationError, InputError
from fl_core.federation import Population
from fl_core.flight import in_flight
from fl_core.occurrence import why_nothing_new
from fl_core.program import direction_of
from fl_core.run_folder import MANIFEST, Run, card_key, close_key, metrics_key, plan_key, state_key
from fl_core.sentence import ended
from fl_core.strategy import Draw, Seen
from fl_core.summary import merge_metrics
from fl_core.types import NOTHING, Weights
from fl_core.worker import newly_due

PARTS = 4

HISTORY_ROUNDS_MAX = 100
METRIC_PRECISION = 1e-6  # metrics are means of float32 means; 9 700 right of 10 000 may come out as .96999999


def plan(run: Run, round: int, parts: int = 1) -> Record:
    """The plan of the round. `parts` is into how many leases each worker's clients are split where the job does not say."""
    if run.job.stop_when:
        _merge_due(run, round)  # the plan rests on it; otherwise the workers train meanwhile
    found = run.find(plan_key(round)) or _decide(run, round, parts)
    _merge_due(run, round)
    return found


def _decide(run: Run, round: int, parts: int) -> Record:
    before = run.find(plan_key(round - 1))
    if before is not None and before["finished"]:
        return run.put(plan_key(round), {"run": run.name, "round": round, "finished": True, "why": before["why"]})
    base = {"run": run.name, "round": round, "state": run.digest(state_key(round)), **rests_on(run, round)}
    reason = why_finished(run, round)
    if reason:
        return run.put(plan_key(round), {**base, "finished": True, "why": reason})
    waiting = in_flight(run, round) if run.strategy.buffer_size else None
    drawn = choose(run, round, waiting or ())
    chosen = [client for client, base in drawn.items() if round - base <= run.strategy.staleness_max]
    sizes = {client: run.population.size_of(client) for client in chosen}
    by_worker: dict[str, list[str]] = {}
    for client in chosen:
        by_worker.setdefault(run.population.worker_of(client), []).append(client)
    count = run.job.federation.parts or parts if waiting is None else len(chosen)  # those who arrive one by one reply one by one
    workers = {worker: split(clients, sizes, count) for worker, clients in sorted(by_worker.items())}
    unit = exact.weight_unit(max(sizes.values(), default=1), len(chosen))
    plan = {**base, "finished": False, "clients": len(chosen), "workers": workers, "weight_unit": unit, **_simulated(run, round, sizes)}
    return run.put(plan_key(round), {**plan, **(earlier_starts(run, round, drawn) if waiting is None else {"in_flight": waiting})})


def _simulated(run: Run, of_round: int, sizes: Mapping[str, int]) -> Record:
    """What a plan says of the round's time where devices are simulated, to the microsecond, below which processors may differ."""
    if run.strategy.round_seconds is None:
        return {}
    seconds = run.strategy.round_seconds(_a_draw(run, run.population, of_round), sizes)
    return {"simulated_seconds": round(seconds, 6)}


def _merge_due(run: Run, round: int) -> None:
    arrivals_are_measured = bool(run.strategy.buffer_size)
    for measured in newly_due(run.job, round, arrivals_are_measured):
        if not arrivals_are_measured or run.store.exists(state_key(measured)):  # nobody waited for it, and its state may be forgotten
            merge_metrics(run, measured)


def earlier_starts(run: Run, round: int, drawn: Mapping[str, int]) -> Record:
    """What a plan says of clients that started from an earlier round's state: `bases`, their rounds; `states`, the digests of these rounds' states; `late`,
    the rounds of those who are dropped. Nothing where there are none."""
    earlier = {client: base for client, base in drawn.items() if base != round}
    late = {client: base for client, base in earlier.items() if round - base > run.strategy.staleness_max}
    bases = {client: base for client, base in earlier.items() if client not in late}
    for base in set(bases.values()):
        if not run.store.exists(state_key(base)):
            raise InputError(f"Clients of round {round} start from the state of round {base}, which was not kept; a job with keep_states: all keeps it.")
    states = {str(base): run.record(plan_key(base))["state"] for base in sorted(set(bases.values()))}
    return ({"bases": bases, "states": states} if bases else {}) | ({"late": late} if late else {})


def rests_on(run: Run, round: int) -> Record:
    """What a plan names by digest: the close record before it; the first names the manifest and the workers' cards."""
    if round > 1:
        return {"previous": run.digest(close_key(round - 1))}
    return {"previous": run.digest(MANIFEST), "cards": {worker.name: run.digest(card_key(worker.name)) for worker in run.job.workers}}


def choose(run: Run, round: int, busy: Collection[str] = ()) -> dict[str, int]:
    """The clients of the round, in sorted order, as the selection draws them, each with the round whose state it starts from. Nobody who is `busy`, in
    flight since an earlier round, is drawn."""
    return draw(run, run.population, round, run.state(round).memory, busy)


def history(run: Run, round: int) -> dict[str, Seen]:
    """What was last seen of each client in the rounds before this one, from their close records, as far back as HISTORY_ROUNDS_MAX."""
    seen: dict[str, Seen] = {}
    for earlier in range(round - 1, max(0, round - 1 - HISTORY_ROUNDS_MAX), -1):
        for client, metrics in run.record(close_key(earlier))["clients"].items():
            seen.setdefault(client, Seen(earlier, metrics))
    return seen


def draw(run: Run, people: Population, round: int, memory: Weights, busy: Collection[str] = ()) -> dict[str, int]:
    """As `choose`, of these people; InputError that names the selection where it fails or gives anything else."""
    who = f"The selection '{run.job.selection.name}'"
    try:
        drawn = run.strategy.select(_a_draw(run, people, round, memory, busy))
        chosen = list(drawn) if isinstance(drawn, Iterable) and not isinstance(drawn, str) else []
    except FederationError:
        raise
    except Exception as error:
        raise InputError(f"{who} fails in round {round}: {type(error).__name__}: {ended(str(error))}") from error
    if isinstance(drawn, str) or not isinstance(drawn, Iterable) or not all(isinstance(client, str) for client in chosen):
        raise InputError(f"{who} gives {drawn!r:.60} in round {round}; it gives a list of clients' names.")
    if len(set(chosen)) < len(chosen):
        raise InputError(f"{who} drew a client twice in round {round}; a client takes part once.")
    for client in chosen:
        if client not in people.clients:
            raise InputError(f"{who} drew '{client}', whom the federation does not have.")
        if client in busy:
            raise InputError(f"The strategy '{run.job.strategy.name}' starts '{client}' in round {round}, who is in flight; a client does one thing at a time.")
    least = max(exchange.least for exchange in run.strategy.exchanges)
    if 0 < len(chosen) < least:
        raise InputError(
            f"Round {round} draws {len(chosen)} clients, but the strategy '{run.job.strategy.name}' needs {least} a round; draw more, or change its options."
        )
    bases = {client: drawn[client] if isinstance(drawn, Mapping) else round for client in sorted(chosen)}
    for client, base in bases.items():
        if type(base) is not int:
            raise InputError(f"{who} gives '{client}' with {base!r:.60} in round {round}; a name comes alone, or with the number of the round it starts from.")
        if base != round and not run.strategy.staleness_max:
            raise InputError(
                f"{who} starts '{client}' in round {round} from round {base}, but '{run.job.strategy.name}' has no staleness_max; give names alone."
            )
        if not 1 <= base <= round:
            raise InputError(f"The strategy '{run.job.strategy.name}' starts '{client}' in round {round} from the state of round {base}; there is none yet.")
    return bases


def _a_draw(run: Run, people: Population, round: int, memory: Weights = NOTHING, busy: Collection[str] = ()) -> Draw:
    random, seed = np.random.Generator(np.random.PCG64(run.job.seed_for("select", round))), run.job.seed_for("select")
    return Draw(round, people.clients, people.sizes, random, memory, people.worker_of, lambda: history(run, round), seed, busy, run.strategy.work)


def split(clients: Sequence[str], sizes: Mapping[str, int], parts: int) -> list[list[str]]:
    """The clients in at most `parts` leases of about equal size: the largest first, each to the lease with the least so far."""
    leases: list[list[str]] = [[] for _ in range(min(parts, len(clients)))]
    loads = [0] * len(leases)
    for client in sorted(clients, key=lambda c: (-sizes[c], c)):
        least = loads.index(min(loads))
        leases[least].append(client)
        loads[least] += sizes[client]
    return [sorted(lease) for lease in leases]


def why_finished(run: Run, round: int) -> str | None:
    """Why no further round is due: the rounds are done, there are no new data, or what `stop_when` asks for is reached; None while the job goes on."""
    if round > run.job.rounds:
        return "rounds"
    if round == 1 and why_nothing_new(run):
        return "nothing_new"
    if not run.job.stop_when:
        return None
    found = run.find(metrics_key(round))
    if found is None:
        return None
    better = run.facts["better"]
    for metric, goal in run.job.stop_when.items():
        value = found["metrics"].get(metric)
        if value is None and found.get("refused"):
            return None
        if value is None:
            raise InputError(f"stop_when.{metric} waits for what the evaluation does not give; it gives {', '.join(found['metrics'])}.")
        is_better = value > goal if (better.get(metric) or direction_of(metric)) == "higher" else value < goal
        if not is_better and not math.isclose(value, goal, rel_tol=METRIC_PRECISION):
            return None
    return "stop_when"
