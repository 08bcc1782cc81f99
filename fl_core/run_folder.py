"""A run: a job under a name in a store, and the names of all that lies there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fl_core.codec import Record, decode_record, decode_state, encode_record, sha256
from fl_core.errors import InputError, KeyMissing
from fl_core.federation import Population, read_population
from fl_core.job import Job, parse_job
from fl_core.store import DictStore, Store
from fl_core.strategy import Strategy, load_strategy
from fl_core.types import RoundState

JOB, MANIFEST = "job/job.yaml", "job/manifest.json"


def state_key(round: int) -> str:
    return f"rounds/{round:04d}/state.safetensors"


def metrics_key(round: int) -> str:
    return f"rounds/{round:04d}/metrics.json"


def plan_key(round: int) -> str:
    return f"rounds/{round:04d}/plan.json"


def close_key(round: int) -> str:
    return f"rounds/{round:04d}/close.json"


def reply_key(round: int, exchange: str, worker: str, part: int) -> str:
    return f"rounds/{round:04d}/{exchange}/{worker}/{part:03d}.safetensors"


def message_key(round: int, exchange: str) -> str:
    return f"rounds/{round:04d}/{exchange}/message.safetensors"


def evaluation_key(round: int, worker: str) -> str:
    return f"rounds/{round:04d}/evaluate/{worker}.json"


def card_key(worker: str) -> str:
    return f"job/cards/{worker}.json"


@dataclass(frozen=True)
class Run:
    """A job's run. `store` is the shared part; `private` is the place of this organisation alone (its clients' memory)."""

    name: str
    job: Job
    store: Store
    private: Store = field(default_factory=lambda: DictStore({}))
    given: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def population(self) -> Population:
        return read_population(self.job, lambda worker: self.record(card_key(worker)))

    @cached_property
    def strategy(self) -> Strategy:
        return self.given["strategy"] if "strategy" in self.given else load_strategy(self.job)

    def record(self, key: str) -> Record:
        """The record under the key; KeyMissing where there is none."""
        return decode_record(self.store.get(key), key)

    def find(self, key: str) -> Record | None:
        """The record under the key, None where there is none."""
        try:
            return self.record(key)
        except KeyMissing:
            return None

    def put(self, key: str, record: Mapping[str, Any]) -> Record:
        """Writes the record once and returns it as it is read back."""
        data = encode_record(record)
        self.store.put(key, data)
        return decode_record(data, key)

    def digest(self, key: str) -> str:
        return sha256(self.store.get(key))

    def state(self, round: int) -> RoundState:
        return decode_state(self.store.get(state_key(round)), state_key(round))

    def last_round(self) -> int:
        """The number of the newest state, 0 where there is none."""
        rounds = {int(key.split("/")[1]) for key in self.store.list("rounds/") if key.endswith("/state.safetensors")}
        return max(rounds, default=0)


def read_job(store: Store) -> Job:
    """The job of a run folder, its code checked against the manifest; InputError where there is no run, SignatureError where a file was changed."""
    try:
        manifest = decode_record(store.get(MANIFEST), MANIFEST)
        text = bytes(store.get(JOB)).decode()
        code = {name: bytes(store.get(f"job/code/{name}")).decode() for name in manifest["code"]}
    except KeyMissing as error:
        raise InputError(f"There is no run in {store.uri}: '{error.key}' is missing.") from error
    for name, digest in {JOB: manifest["job"], **{f"job/code/{name}": digest for name, digest in manifest["code"].items()}}.items():
        if sha256(store.get(name)) != digest:
            raise InputError(f"'{name}' in {store.uri} was changed after the run began; start a new run for another job.")
    return parse_job(text, code=code, what=f"'{JOB}'")

