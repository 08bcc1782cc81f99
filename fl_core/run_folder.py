"""A run: a job under a name in a store, and the names of all that lies there."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fl_core import signing
from fl_core.codec import Record, decode_record, decode_state, decode_tensors, digest_weights, encode_record, encode_state, encode_tensors, sha256
from fl_core.errors import InputError, KeyMissing, SignatureError
from fl_core.federation import Population, read_population
from fl_core.job import Job, parse_job
from fl_core.recall import Kept, Recall
from fl_core.store import DictStore, Store
from fl_core.strategy import Strategy, load_strategy, with_selection
from fl_core.types import RoundState, Weights

JOB, ROSTER, MANIFEST = "job/job.yaml", "job/roster.json", "job/manifest.json"


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
    """A job's run. `store` is the shared part; `private` is the place of this organisation alone (its clients' memory). `root` is the store whose registry
    it starts from and publishes to, where that is not the one it lies in. `pin` is the sha256 of the manifest as it was when the run was opened, empty for
    a run that is yet to be written; any other manifest is refused, and with it any other job and code."""

    name: str
    job: Job
    store: Store
    private: Store = field(default_factory=lambda: DictStore({}))
    given: Mapping[str, Any] = field(default_factory=dict)
    root: Store | None = None
    pin: str = ""

    @cached_property
    def population(self) -> Population:
        return read_population(self.job, lambda worker: self.record(card_key(worker)))

    @cached_property
    def strategy(self) -> Strategy:
        return with_selection(self.given["strategy"], self.job) if "strategy" in self.given else load_strategy(self.job)

    @cached_property
    def manifest(self) -> Record:
        return read_manifest(self.store, pin=self.pin)

    @property
    def address(self) -> dict[str, str]:
        """Where another process of this organisation finds this run, and nothing that was put in its place."""
        return {"store": self.store.uri, "private": self.private.uri, "manifest": self.pin or self.digest(MANIFEST)}

    @cached_property
    def memories(self) -> str:
        """Where in the private place this run's clients' memory lies: not where another run has its own, such as one of this name that was removed."""
        return f"clients/{self.manifest.get('identity', '')}".rstrip("/")

    def record(self, key: str) -> Record:
        """The record under the key; KeyMissing where there is none, SignatureError where it is not what its signer wrote."""
        kept = self._kept(key)
        record = decode_record(kept.data, key)
        if not kept.is_checked:
            check_canonical(kept.data, record, key)
            self._check(key, record)
            kept.is_checked = True
        return record

    def has(self, key: str) -> bool:
        """Whether something lies under a write-once key that will be read; it is asked of the store until it is there, and read at once."""
        try:
            self._kept(key)
        except KeyMissing:
            return False
        return True

    def read(self, key: str) -> bytes | memoryview:
        """The bytes under a write-once key, asked of the store once."""
        return self._kept(key).data

    def _kept(self, key: str) -> Kept:
        return self._recall.get(key, self.store.get)

    def know(self, key: str, data: bytes) -> None:
        """Takes over what another process of this organisation has read under a write-once key; its signature is checked as if it came from the store."""
        self._recall.keep(key, data)

    @cached_property
    def _recall(self) -> Recall:
        return Recall()

    def find(self, key: str) -> Record | None:
        """The record under the key, None where there is none."""
        try:
            return self.record(key)
        except KeyMissing:
            return None

    def put(self, key: str, record: Mapping[str, Any]) -> Record:
        """Writes the record once, signed by the role whose key it is, and returns it as it is read back."""
        data = encode_record(self._sign(key, record))
        self.store.put(key, data)
        self._recall.keep(key, data, is_checked=True)
        return decode_record(data, key)

    def put_state(self, state: RoundState) -> int:
        """Writes the state once; gives its bytes' number."""
        data = encode_state(state)
        self.store.put(state_key(state.round), data)
        self._recall.keep(state_key(state.round), data)
        return len(data)

    def put_tensors(self, key: str, tensors: Weights, record: Mapping[str, Any]) -> None:
        """Writes tensors once, with a signed record that names their digest."""
        self.store.put(key, encode_tensors(tensors, self._sign(key, {**record, "tensors": digest_weights(tensors)})))

    def tensors(self, key: str) -> tuple[Weights, Record]:
        """Tensors and their record; SignatureError where they are not what their signer wrote."""
        return self.check_tensors(self.store.get(key), key)

    def check_tensors(self, data: bytes | memoryview, key: str) -> tuple[Weights, Record]:
        """As `tensors`, of bytes that were read already."""
        tensors, record = decode_tensors(data, f"'{key}'")
        self._check(key, record)
        if digest_weights(tensors) != record.get("tensors"):
            raise SignatureError(f"'{key}' holds other tensors than '{signer_of(key)}' signed.")
        return tensors, record

    def _sign(self, key: str, record: Mapping[str, Any]) -> Record:
        return self.sign_as(signer_of(key), record)

    def sign_as(self, role: str, record: Mapping[str, Any]) -> Record:
        """The record signed by a role whose key lies in this private place."""
        if role not in self._own_keys:
            self._own_keys[role] = signing.own_key(self.private, role)
        return signing.sign(record, role, self._own_keys[role])

    @cached_property
    def _own_keys(self) -> dict[str, bytes]:
        """Private keys by role, each read once."""
        return {}

    def _check(self, key: str, record: Record) -> None:
        role = signer_of(key)
        if key == card_key(role):
            self._cards.fixed(role)
        signing.check(record, role, self.public_key(role), f"'{key}'")

    @cached_property
    def facts(self) -> Record:
        """What the process that made the first state says of program and numerics; in the first worker's card where the server has no Paddle."""
        return dict(self.manifest.get("facts") or self._cards[self.job.workers[0].name].get("facts") or {})

    @cached_property
    def trail(self) -> "Trail":
        """Where this process stands in the journal."""
        return Trail(uuid.uuid4().hex)

    def public_key(self, role: str) -> str:
        """The server's key from the manifest; a worker's from the roster, or from its data card where the roster leaves it open."""
        if role == signing.SERVER:
            return str(self.manifest["server_key"])
        listed = {worker.name: worker.public_key for worker in self.job.workers}
        if role not in listed:
            raise SignatureError(f"'{role}' is no worker of this federation.")
        if self.manifest["keys"] == "roster" and listed[role] is not None:
            return str(listed[role])
        return str(self._cards[role]["public_key"])

    @cached_property
    def _cards(self) -> "_Cards":
        return _Cards(self)

    def digest(self, key: str) -> str:
        return self._kept(key).digest

    def state(self, round: int, digest: str | None = None) -> RoundState:
        """The state that the round starts from; SignatureError where it is not the one of this digest."""
        if digest is not None and self.digest(state_key(round)) != digest:
            raise SignatureError(f"'{state_key(round)}' is not the state that the plan of round {round} names; it was swapped.")
        return decode_state(self.read(state_key(round)), state_key(round))

    def last_plan(self) -> int:
        """The newest round with a plan, 1 where there is none; found without a list, which a worker's credentials do not allow."""
        beyond = 1
        while self.store.exists(plan_key(beyond)):
            beyond *= 2
        there = max(beyond // 2, 1)
        while beyond - there > 1:
            middle = (there + beyond) // 2
            there, beyond = (middle, beyond) if self.store.exists(plan_key(middle)) else (there, middle)
        return there

    def last_round(self) -> int:
        """The number of the newest state, 0 where there is none."""
        rounds = {int(key.split("/")[1]) for key in self.store.list("rounds/") if key.endswith("/state.safetensors")}
        return max(rounds, default=0)


def signer_of(key: str) -> str:
    """The role whose key this is: a worker for its card, replies and evaluations, the server for all else."""
    words = key.split("/")
    if key.startswith("job/cards/") or words[-2:-1] == ["evaluate"]:
        return words[-1].removesuffix(".json")
    return words[3] if len(words) == 5 else signing.SERVER


@dataclass
class Trail:
    """A writer's name in the journal, the sha256 of its last line, and the lines that are held back to be written together, for how long, and when it last
    wrote; `signer` is the role that signs them, empty where none does. It moves with every line."""

    writer: str
    last: str = ""
    held: list[bytes] = field(default_factory=list)
    hold_seconds: float = 0.0
    signer: str = ""
    written: float = 0.0


class _Cards(dict[str, Record]):
    """Data cards by worker, each read once; the first plan fixes them, and any other is refused from then on."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    def __missing__(self, worker: str) -> Record:
        self[worker] = self.fixed(worker)
        return self[worker]

    def fixed(self, worker: str) -> Record:
        """The card as it lies there; SignatureError where the first plan is there and names another, for a card's key may be the worker's only one."""
        key, run = card_key(worker), self._run
        if run.has(plan_key(1)) and run.record(plan_key(1)).get("cards", {}).get(worker) != run.digest(key):
            raise SignatureError(f"'{key}' is not the card that the plan of round 1 names; it was swapped.")
        return decode_record(run.read(key), key)


def check_canonical(data: bytes | memoryview, record: Record, key: str) -> None:
    """SignatureError where the bytes say the same as the record in other letters (spaces, 1E5 for 1e5), which no signature would find."""
    try:
        same = encode_record(record) == bytes(data)
    except (ValueError, RecursionError):  # such as NaN, which is no record of ours
        same = False
    if not same:
        raise SignatureError(f"'{key}' is not written as '{signer_of(key)}' writes it; it was changed after it was written.")


def open_at(
    store: Store, private: Store, *, server_key: str = "", pin: str = "", given: Mapping[str, Any] | None = None, root: Store | None = None
) -> Run:  # fmt: skip
    """The run that lies in the store, checked and pinned before any of its code is run. SignatureError where its server has another key than `server_key`,
    or where its manifest is another than the one of the sha256 `pin`; InputError where there is none, or where it was edited."""
    manifest = read_manifest(store, server_key, pin)
    return Run(str(manifest["run"]), _read_job(store, manifest), store, private, dict(given or {}), root, sha256(encode_record(manifest)))


def read_manifest(store: Store, server_key: str = "", pin: str = "") -> Record:
    """What makes a folder a run: hashes of its job, signed by its server; InputError where there is none."""
    try:
        data = store.get(MANIFEST)
        manifest = decode_record(data, MANIFEST)
    except KeyMissing as error:
        raise InputError(f"There is no run in {store.uri}: '{error.key}' is missing.") from error
    check_canonical(data, manifest, MANIFEST)
    signing.check(manifest, signing.SERVER, str(manifest.get("server_key")), f"'{MANIFEST}'")
    if server_key and manifest["server_key"] != server_key:
        raise SignatureError(
            f"'{MANIFEST}' in {store.uri} is signed by {manifest['server_key']}, not by the server key {server_key} that is known here; "
            "somebody else leads this run, or changed its job."
        )
    if pin and sha256(data) != pin:
        raise SignatureError(f"'{MANIFEST}' in {store.uri} is not the one that was checked (sha256 {pin[:16]}…); it was swapped.")
    return manifest


def _read_job(store: Store, manifest: Record) -> Job:
    """The job that the manifest describes; InputError where it was edited. What was checked is what is used: each file is read once."""
    files = {}
    for name, digest in {JOB: manifest["job"], ROSTER: manifest["roster"], **{f"job/code/{n}": d for n, d in manifest["code"].items()}}.items():
        if not store.exists(name):
            raise InputError(f"'{name}' in {store.uri} is missing; start a new run.")
        data = bytes(store.get(name))
        if sha256(data) != digest:
            raise InputError(f"'{name}' in {store.uri} was changed after the run began; start a new run for another job.")
        files[name] = data.decode()
    return parse_job(files[JOB], code={name: files[f"job/code/{name}"] for name in manifest["code"]}, what=f"'{JOB}'")
