"""The registry: published models as numbered versions that never change, and two pointers that move by compare-and-swap.

    models/<name>/<version>/model.safetensors   the weights
    models/<name>/<version>/job.json            the job and its code, so that the model can be built again
    models/<name>/<version>/record.json         what the version is and rests on, signed by the server that published it; it comes last and makes the version
    models/<name>/latest                        the highest version
    models/<name>/production                    the version in use, those that were before it, and who moved it why

The signature says that a record is what its publisher wrote, and its sha256 that the model is the record's. Pointers carry none: who may write to the
store may point at another version, but not at a model that nobody signed. `server_key` is shown with each version, to be compared with one got elsewhere.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from fl_core import signing
from fl_core.codec import Record, decode_record, decode_tensors, encode_record, sha256
from fl_core.errors import InputError, KeyMissing, KeyTaken, SignatureError, StoreError, did_you_mean
from fl_core.gate import Verdict, judge
from fl_core.section import FILE_NAME, NAME_RULE
from fl_core.store import Store
from fl_core.types import Weights

SCHEME = "models:"
MODEL, JOB, RECORD = "model.safetensors", "job.json", "record.json"
LATEST, PRODUCTION = "latest", "production"
VERSIONS_MAX = 100_000
SWAPS_MAX = 100
HISTORY_MAX = 1000


@dataclass(frozen=True)
class Pointer:
    """Where a pointer stands, which versions it would go back to (the newest last), and its moves."""

    version: int
    before: tuple[int, ...] = ()
    history: tuple[Record, ...] = ()


def key_of(name: str, version: int | str, file: str = "") -> str:
    return f"models/{name}/{version}/{file}" if file else f"models/{name}/{version}"


def names(root: Store) -> list[str]:
    """The names of all published models."""
    return sorted({key.split("/")[1] for key in root.list("models/") if key.endswith(f"/{RECORD}")})


def numbers(root: Store, name: str) -> list[int]:
    """The versions of a model, in order; none where it was never published."""
    return sorted(int(key.split("/")[2]) for key in root.list(f"models/{name}/") if key.endswith(f"/{RECORD}"))


def split(address: str) -> tuple[str, str]:
    """Name and version of an address such as `digits/3` or `digits/production`; production where the version is left out."""
    name, separator, which = address.partition("/")
    if not FILE_NAME.fullmatch(name):
        raise InputError(f"'{address}' names no model: write NAME/VERSION, such as digits/3; {NAME_RULE}")
    if separator and not (which in (LATEST, PRODUCTION) or re.fullmatch(r"[0-9]{1,6}", which)):
        raise InputError(f"'{address}' names no version; write {name}/NUMBER, {name}/{LATEST} or {name}/{PRODUCTION}.")
    return name, which or PRODUCTION


def read(root: Store, address: str) -> Record:
    """The record of a version; InputError where there is none, SignatureError where it is not what its publisher wrote."""
    name, which = split(address)
    if not which.isdigit():
        pointer = read_pointer(root, name, which)
        if pointer is None:
            raise InputError(_why_no_pointer(root, name, which))
        which = str(pointer.version)
    record = _find(root, name, int(which))
    if record is None:
        known = ", ".join(map(str, numbers(root, name))) or "none"
        raise InputError(f"'{name}' has no version {int(which)} in {root.uri}; its versions: {known}.")
    return record


def why_not_published(root: Store, name: str) -> str:
    """The sentence about a model that was never published."""
    return f"No model '{name}' was published to {root.uri}; {did_you_mean(name, names(root))}"


def _why_no_pointer(root: Store, name: str, which: str) -> str:
    there = numbers(root, name)
    if not there:
        return why_not_published(root, name)
    return f"'{name}' has no {which}; promote a version with `fl models promote {name}/{there[-1]}`."


def read_model(root: Store, record: Record) -> bytes | memoryview:
    """The model file of a version; SignatureError where it is not the one that was published."""
    return _read_file(root, record, MODEL, "model_sha256")


def read_bundle(root: Store, record: Record) -> str:
    """The job of a version and its code, as a bundle; SignatureError where it is not the one that was published."""
    return bytes(_read_file(root, record, JOB, "bundle_sha256")).decode()


def _read_file(root: Store, record: Record, file: str, word: str) -> bytes | memoryview:
    key = key_of(record["name"], record["version"], file)
    data = root.get(key)
    if sha256(data) != record[word]:
        raise SignatureError(f"'{key}' in {root.uri} is not the file that version {record['version']} was published with; its sha256 differs.")
    return data


def read_start(root: Store | None, start: str) -> tuple[Weights | None, Record]:
    """The weights that `models:NAME/VERSION` speaks of, and where they come from: what a run that starts with them keeps.

    With a `?` at the end there need be no such version, and then it gives None: the job starts afresh.
    """
    address = start.removeprefix(SCHEME).removesuffix("?")
    if root is None:
        raise InputError(f"start_from is '{start}', but this run lies in no store with a registry; say where that is with --store.")
    name, which = split(address)
    if start.endswith("?") and not which.isdigit() and read_pointer(root, name, which) is None:
        return None, {}
    record = read(root, address)
    weights, _ = decode_tensors(read_model(root, record), f"'{key_of(name, record['version'], MODEL)}'")
    return weights, {"model": f"{name}/{record['version']}", "model_sha256": record["model_sha256"], "data": record["data"]}


def add(root: Store, name: str, files: Mapping[str, bytes | memoryview], facts: Record, sign: Callable[[Record], Record]) -> Record:
    """Publishes the files as the next version and gives its record; once for a run and its weights, however often it is called.

    A number is taken by writing a file under it once, so that of two publishers each gets its own. `facts` name the run and the digest of its weights;
    `sign` makes the signed record of them and the version.
    """
    for number in range(1, VERSIONS_MAX + 1):
        record = _taken(root, name, number)
        if record is None:
            record = _take(root, name, number, files, facts, sign)
        if record and (record.get("run"), record.get("digest")) == (facts["run"], facts["digest"]):
            _move(root, name, LATEST, lambda pointer: Pointer(max(number, pointer.version if pointer else 0)))  # noqa: B023
            return record
    raise StoreError(f"'{name}' has {VERSIONS_MAX} versions in {root.uri}; a model has no more, so publish under another name.")


def _take(root: Store, name: str, number: int, files: Mapping[str, bytes | memoryview], facts: Record, sign: Callable[[Record], Record]) -> Record | None:
    """The record of this version, whoever wrote it; None where another publisher has the number and is not done."""
    try:
        for file, data in files.items():
            root.put(key_of(name, number, file), data)
        record = sign({**facts, "name": name, "version": number})
        root.put(key_of(name, number, RECORD), encode_record(record))
        return record
    except KeyTaken:
        return _taken(root, name, number)


def _taken(root: Store, name: str, number: int) -> Record | None:
    """As `_find`, and empty where the record cannot be read: its number is taken all the same, and others need not stop for it."""
    try:
        return _find(root, name, number)
    except (InputError, SignatureError):
        return {}


def _find(root: Store, name: str, number: int) -> Record | None:
    key = key_of(name, number, RECORD)
    try:
        record = decode_record(root.get(key), f"'{key}'")
    except KeyMissing:
        return None
    signing.check(record, signing.SERVER, str(record.get("server_key")), f"'{key}'")
    if (record.get("name"), record.get("version")) != (name, number):
        raise SignatureError(f"'{key}' is the record of {record.get('name')}/{record.get('version')}; it was put in this place after it was written.")
    return record


def read_pointer(root: Store, name: str, which: str) -> Pointer | None:
    """Where `latest` or `production` stands; None where it was never set."""
    try:
        return _decode(root.get(key_of(name, which)), key_of(name, which))
    except KeyMissing:
        return None


def promote(root: Store, address: str, *, because: str = "") -> Verdict:
    """Moves production to a version where the gate lets it pass, and gives the verdict.

    With `because`, a reason, it moves all the same; reason and verdict then stand in the pointer's history.
    """
    candidate = read(root, address)
    name, number = candidate["name"], candidate["version"]
    verdict = Verdict(True, "")

    def change(pointer: Pointer | None) -> Pointer:
        nonlocal verdict
        if pointer is not None and pointer.version == number:
            verdict = Verdict(True, f"{name}/{number} is production already.")
            return pointer
        verdict = _judged(root, candidate, pointer)
        if pointer is not None and not verdict.passed and not because:
            return pointer
        before = (*pointer.before, pointer.version) if pointer else ()
        return _moved(pointer, number, before, "promoted" if verdict.passed else "promoted against the gate", verdict.why, because)

    _move(root, name, PRODUCTION, change)
    return verdict if verdict.passed or not because else Verdict(True, f"{verdict.why} It was promoted all the same: {because}")


def _judged(root: Store, candidate: Record, production: Pointer | None) -> Verdict:
    """The gate's verdict; not passed where production's record cannot be read, which is no reason to stop whoever publishes."""
    try:
        return judge(candidate, read(root, f"{candidate['name']}/{production.version}") if production else None)
    except (InputError, SignatureError) as error:
        return Verdict(False, f"there is nothing to compare with: {error}")


def rollback(root: Store, name: str, *, because: str = "") -> tuple[int, int]:
    """Moves production back to the version before it; gives the version that it left and the one that it went to."""
    left = 0

    def change(pointer: Pointer | None) -> Pointer:
        nonlocal left
        if pointer is None:
            raise InputError(_why_no_pointer(root, name, PRODUCTION))
        if not pointer.before:
            raise InputError(f"Nothing was production of '{name}' before version {pointer.version}; there is nothing to roll back to.")
        left = pointer.version
        return _moved(pointer, pointer.before[-1], pointer.before[:-1], "rolled back", f"from version {left}", because)

    split(name)
    version = _move(root, name, PRODUCTION, change).version
    return left, version


def _moved(pointer: Pointer | None, version: int, before: tuple[int, ...], how: str, why: str, because: str) -> Pointer:
    move = {"time": now(), "version": version, "how": how, "why": why, **({"because": because} if because else {})}
    return Pointer(version, before[-HISTORY_MAX:], ((pointer.history if pointer else ()) + (move,))[-HISTORY_MAX:])


def _move(root: Store, name: str, which: str, change: Callable[[Pointer | None], Pointer]) -> Pointer:
    """Moves a pointer to what `change` makes of it; asks again as often as others move it first."""
    key = key_of(name, which)
    for _ in range(SWAPS_MAX):
        try:
            data = bytes(root.get(key))
        except KeyMissing:
            data = None
        pointer = _decode(data, key) if data is not None else None
        wanted = change(pointer)
        if wanted == pointer or root.swap(key, data, encode_record(asdict(wanted))):
            return wanted
    raise StoreError(f"'{key}' in {root.uri} was moved by others {SWAPS_MAX} times while it was to be moved; try again.")


def _decode(data: bytes | memoryview, key: str) -> Pointer:
    record = decode_record(data, f"'{key}'")
    return Pointer(record["version"], tuple(record["before"]), tuple(record["history"]))


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
