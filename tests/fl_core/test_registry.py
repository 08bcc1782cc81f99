"""The registry: versions that never change, pointers that move by compare-and-swap, and no loss when many publish at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fl_core import registry, runner
from fl_core.codec import Record, decode_record, encode_record, encode_tensors, sha256
from fl_core.errors import InputError, SignatureError, StoreError
from fl_core.job import Job, parse_job
from fl_core.policy import policies
from fl_core.publication import registry_of
from fl_core.run_folder import Run, evaluation_key
from fl_core.store import DictStore, FileStore, Store
from tests.fl_core.harness import numbers, three
from tests.fl_core.published import JOB, X, begun, published, small_job, trained


@pytest.fixture
def root() -> DictStore:
    return DictStore({})


def production(root: Store) -> int | None:
    pointer = registry.read_pointer(root, "small", registry.PRODUCTION)
    return pointer.version if pointer else None


def finish(run: Run) -> Record:
    return dict(runner.finish(run, {"seconds": 1.0})["published"])


# ---- versions ---------------------------------------------------------------------------------------------------------------------------------


def test_a_version_says_what_it_is_and_rests_on(root: DictStore) -> None:
    run = trained(root, "monday", accuracy=0.5, loss=2.0)
    outcome = finish(run)
    assert outcome == {"model": "small", "version": 1, "decision": "published", "why": "accuracy is 0.5; there was no production to compare with."}
    record = registry.read(root, "small/1")
    wanted = {
        "name": "small", "version": 1, "run": "monday", "rounds": 1, "metrics": {"accuracy": 0.5, "loss": 2.0}, "parent": None,
        "gate": {"metric": "accuracy", "tolerance": 0.0, "better": "higher"}, "data": {"worker-0": "new"}, "x": X, "privacy": {"protected": False},
        "job_digest": run.job.digest, "program_sha256": run.job.program_sha256, "digest": run.record("summary.json")["digest"],
        "server_key": run.manifest["server_key"], "signer": "server",
    }  # fmt: skip
    assert {key: record[key] for key in wanted} == wanted
    assert registry.read_model(root, record) == run.store.get("model.safetensors")
    assert registry.read_bundle(root, record) == run.job.bundle()


def test_versions_count_from_one_and_the_pointers_follow(root: DictStore) -> None:
    assert [published(root, name, accuracy=0.5)["version"] for name in ("a", "b", "c")] == [1, 2, 3]
    assert registry.numbers(root, "small") == [1, 2, 3]
    assert registry.read(root, "small/latest")["version"] == 3
    assert registry.read(root, "small")["version"] == production(root) == 3
    assert registry.names(root) == ["small"]


def test_publishing_a_run_again_makes_no_second_version_and_moves_nothing(root: DictStore) -> None:
    run = trained(root, "a", accuracy=0.9)
    finish(run)
    registry.promote(root, f"small/{published(root, 'b', accuracy=0.95)['version']}")
    registry.rollback(root, "small")
    published(root, "c", accuracy=0.95)
    run.store.delete("summary.json")  # its finish was cut short after it had published
    assert (finish(run)["version"], finish(run)["decision"]) == (1, "published")
    assert registry.numbers(root, "small") == [1, 2, 3]
    assert production(root) == 3


def test_the_number_of_a_publisher_that_died_is_passed_over_and_its_own_when_it_comes_back(root: DictStore) -> None:
    late = trained(root, "late", accuracy=0.5)

    def die(record: Record) -> Record:
        raise StoreError("The store is gone.")

    model = {registry.MODEL: b"half published"}
    with pytest.raises(StoreError):
        registry.add(root, "small", model, {"run": "late", "digest": "d"}, die)
    assert registry.numbers(root, "small") == []
    assert published(root, "b", accuracy=0.5)["version"] == 2
    back = registry.add(root, "small", model, {"run": "late", "digest": "d"}, signed_by(late))
    assert back["version"] == 1
    latest = registry.read_pointer(root, "small", registry.LATEST)
    assert latest is not None
    assert latest.version == 2


def signed_by(run: Run) -> Any:
    return lambda record: run._sign("x", {**record, "server_key": run.manifest["server_key"]})


def test_publishers_that_race_on_a_folder_get_a_version_each_and_lose_nothing(tmp_path: Path) -> None:
    root = FileStore(tmp_path / "store")
    runs = [trained(root, f"run-{i}", accuracy=0.5, target=three(i, 0, 0)) for i in range(12)]
    with ThreadPoolExecutor(12) as threads:
        outcomes = list(threads.map(finish, runs))
    assert sorted(outcome["version"] for outcome in outcomes) == list(range(1, 13)) == registry.numbers(root, "small")
    assert {outcome["decision"] for outcome in outcomes} == {"published"}
    for run, outcome in zip(runs, outcomes, strict=True):
        record = registry.read(root, f"small/{outcome['version']}")
        assert record["run"] == run.name
        assert registry.read_model(root, record) == run.store.get("model.safetensors")
    assert registry.read(root, "small/latest")["version"] == 12
    pointer = registry.read_pointer(root, "small", registry.PRODUCTION)
    assert pointer is not None
    assert sorted([*pointer.before, pointer.version]) == list(range(1, 13))
    assert [move["version"] for move in pointer.history] == [*pointer.before, pointer.version]


def test_a_run_that_is_published_by_several_at_once_becomes_one_version(tmp_path: Path) -> None:
    root = FileStore(tmp_path / "store")
    run = trained(root, "a", accuracy=0.5)
    files = {registry.MODEL: b"model"}
    with ThreadPoolExecutor(8) as threads:
        records = list(threads.map(lambda i: registry.add(root, "small", files, {"run": "a", "digest": "d", "try": i}, signed_by(run)), range(8)))
    assert {record["version"] for record in records} == {1}
    assert len({record["signature"] for record in records}) == 1
    assert registry.numbers(root, "small") == [1]


def test_a_pointer_that_others_always_move_first_is_an_error_and_no_endless_loop(root: DictStore, monkeypatch: pytest.MonkeyPatch) -> None:
    published(root, "a")
    published(root, "b")
    monkeypatch.setattr(root, "swap", lambda key, expected, data: False)
    with pytest.raises(StoreError, match=r"'models/small/production' in .* was moved by others 100 times"):
        registry.rollback(root, "small")


# ---- promotion and rollback -------------------------------------------------------------------------------------------------------------------


def test_a_worse_model_becomes_a_version_but_not_production(root: DictStore) -> None:
    published(root, "a", accuracy=0.9)
    outcome = published(root, "b", accuracy=0.8)
    assert (outcome["version"], outcome["decision"]) == (2, "refused")
    assert outcome["why"] == "accuracy is 0.8, that of production, version 1, is 0.9: worse by 0.1, and the tolerance is 0."
    assert production(root) == 1
    assert registry.read(root, "small/latest")["version"] == 2
    verdict = registry.promote(root, "small/2")
    assert (verdict.passed, verdict.why, production(root)) == (False, outcome["why"], 1)


def test_where_less_is_better_more_is_refused(root: DictStore) -> None:
    job = small_job("publish={metric: loss, tolerance: 0.1}")
    decisions = [published(root, f"run-{loss}", job, loss=loss)["decision"] for loss in (1.0, 1.1, 0.5, 0.7)]
    assert decisions == ["published", "published", "published", "refused"]


def test_a_metric_of_the_programs_own_goes_by_the_direction_that_it_declares(root: DictStore) -> None:
    job = small_job("publish={metric: score}")
    assert [published(root, f"run-{score}", job, score=score)["decision"] for score in (1.0, 2.0, 1.5)] == ["published", "published", "refused"]


def test_a_model_that_is_promoted_by_hand_waits_for_it(root: DictStore) -> None:
    outcome = published(root, "a", small_job("publish={metric: accuracy, promote: never}"))
    assert (outcome["decision"], production(root)) == ("kept", None)
    assert registry.promote(root, "small/1").passed
    assert production(root) == 1
    assert registry.promote(root, "small/1").why == "small/1 is production already."


def test_against_the_gate_it_takes_a_reason_that_stays_in_the_history(root: DictStore) -> None:
    published(root, "a", accuracy=0.9)
    published(root, "b", accuracy=0.8)
    assert registry.promote(root, "small/2", because="the old test set was wrong.").passed
    pointer = registry.read_pointer(root, "small", registry.PRODUCTION)
    assert pointer is not None
    assert (pointer.version, pointer.before) == (2, (1,))
    assert (pointer.history[-1]["how"], pointer.history[-1]["because"]) == ("promoted against the gate", "the old test set was wrong.")
    assert "worse by 0.1" in pointer.history[-1]["why"]


def test_a_rollback_goes_back_one_production_after_the_other(root: DictStore) -> None:
    for name in ("a", "b", "c"):
        published(root, name, accuracy=0.5)
    assert registry.rollback(root, "small", because="complaints") == (3, 2)
    assert registry.rollback(root, "small") == (2, 1)
    with pytest.raises(InputError, match="Nothing was production of 'small' before version 1; there is nothing to roll back to"):
        registry.rollback(root, "small")
    pointer = registry.read_pointer(root, "small", registry.PRODUCTION)
    assert pointer is not None
    assert [(move["version"], move["how"]) for move in pointer.history[-2:]] == [(2, "rolled back"), (1, "rolled back")]
    assert pointer.history[-2]["because"] == "complaints"


# ---- what is wrong is said --------------------------------------------------------------------------------------------------------------------


def test_a_flipped_byte_in_a_model_is_found_and_named(root: DictStore) -> None:
    published(root, "a")
    key = "models/small/1/model.safetensors"
    data = bytearray(root.get(key))
    data[-1] ^= 1
    root.delete(key)
    root.put(key, bytes(data))
    with pytest.raises(SignatureError, match=r"'models/small/1/model.safetensors' in .* is not the file that version 1 was published with; its sha256 differs"):
        registry.read_model(root, registry.read(root, "small/1"))
    with pytest.raises(SignatureError, match=key):
        begun(root, "b", small_job("start_from=models:small/1"))


def test_a_record_that_was_changed_or_put_in_anothers_place_is_refused(root: DictStore) -> None:
    published(root, "a", accuracy=0.5)
    published(root, "b", accuracy=0.6)
    first, second = (f"models/small/{number}/record.json" for number in (1, 2))
    forged = encode_record({**decode_record(root.get(first), first), "metrics": {"accuracy": 1.0}})
    root.delete(first)
    root.put(first, forged)
    with pytest.raises(SignatureError, match=r"'models/small/1/record.json' does not carry the signature of 'server'"):
        registry.read(root, "small/1")
    root.delete(first)
    root.put(first, root.get(second))
    with pytest.raises(SignatureError, match=r"'models/small/1/record.json' is the record of small/2"):
        registry.read(root, "small/1")


@pytest.mark.parametrize("record", [b"damaged", encode_record({"name": "small"})])
def test_a_version_that_cannot_be_read_stops_nobody_but_who_asks_for_it(root: DictStore, record: bytes) -> None:
    published(root, "a", accuracy=0.5)
    published(root, "b", accuracy=0.9)
    for number in (1, 2):
        root.delete(f"models/small/{number}/record.json")
        root.put(f"models/small/{number}/record.json", record)
    outcome = published(root, "c", accuracy=0.8)
    assert (outcome["version"], outcome["decision"], production(root)) == (3, "refused", 2)
    assert outcome["why"].startswith("there is nothing to compare with: 'models/small/2/record.json'")
    assert registry.read(root, "small/latest")["run"] == "c"
    with pytest.raises((InputError, SignatureError), match=r"'models/small/1/record\.json'"):
        registry.read(root, "small/1")
    assert registry.promote(root, "small/3", because="version 2 is damaged").passed


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("smal", r"No model 'smal' was published to memory://; did you mean 'small'\?"),
        ("small/2", "'small' has no version 2 in memory://; its versions: 1."),
        ("small/0", "'small' has no version 0 in memory://; its versions: 1."),
        ("small/newest", "'small/newest' names no version; write small/NUMBER, small/latest or small/production."),
        ("small/", "'small/' names no version"),
        ("a/b/c", "'a/b/c' names no version"),
        ("../etc", "'../etc' names no model: write NAME/VERSION"),
        ("small/production", "'small' has no production; promote a version with `fl models promote small/1`."),
    ],
)
def test_an_address_that_leads_nowhere_is_one_sentence(root: DictStore, address: str, sentence: str) -> None:
    published(root, "a", small_job("publish={metric: accuracy, promote: never}"))
    with pytest.raises(InputError, match=sentence):
        registry.read(root, address)


def test_a_metric_that_is_not_measured_stops_the_finish_before_anything_is_published(root: DictStore) -> None:
    run = trained(root, "a", small_job("publish={metric: auc}"), accuracy=0.5)
    with pytest.raises(InputError, match=r"publish.metric is 'auc', which the evaluation does not give; known are accuracy."):
        finish(run)
    assert root.list("models/") == []
    assert run.find("summary.json") is None


def test_a_run_whose_evaluation_is_refused_finishes_without_a_version(root: DictStore) -> None:
    run = trained(root, "a")
    key = evaluation_key(run.last_round(), "worker-0")
    run.store.delete(key)
    run.store.put(key, b"garbage")
    outcome = finish(Run(run.name, run.job, run.store, run.private, run.given, root))
    assert (outcome["version"], outcome["decision"]) == (None, "skipped")
    assert outcome["why"].startswith("accuracy was not measured: its evaluation was refused: ")


def test_a_metric_without_a_direction_is_asked_for(root: DictStore) -> None:
    with pytest.raises(InputError, match="Nobody said whether 'charm' is better higher or lower"):
        published(root, "a", small_job("publish={metric: charm}"), charm=1.0)


def test_a_run_that_lies_in_no_store_asks_where_to_publish() -> None:
    with pytest.raises(InputError, match="lies in no store with a registry; say where that is with --store"):
        published(None, "a")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("publish: accuracy", r"publish is 'accuracy'; it names the metric that decides, such as \{metric: accuracy\}."),
        ("publish: {metrics: a}", "'publish.metrics' is no key of a job; did you mean 'metric'?"),
        ("publish: {tolerance: 1}", "'publish.metric' is missing; a job needs it."),
        ("publish: {metric: a, tolerance: -1}", "publish.tolerance is -1; it is at least 0."),
        ("publish: {metric: a, promote: sometimes}", "publish.promote is 'sometimes'; it is 'auto' or 'never'."),
        ("schedule: {sett: []}", "'schedule.sett' is no key of a job; did you mean 'set'?"),
    ],
)
def test_a_wrong_publish_or_schedule_section_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        parse_job(JOB.replace("publish: {metric: accuracy}", text))


# ---- starting from a version ------------------------------------------------------------------------------------------------------------------


def test_a_run_starts_from_the_published_weights_and_says_so(root: DictStore) -> None:
    first = trained(root, "a", target=three(1, 2, 3), accuracy=0.9)
    finish(first)
    published(root, "b", target=three(9, 9, 9), accuracy=0.1)
    for word in ("production", "1"):
        state = begun(root, f"from-{word}", small_job(f"start_from=models:small/{word}")).state(1)
        assert (state.round, numbers(state.weights), dict(state.memory)) == (1, [0.5, 1.0, 1.5], {})
    assert numbers(begun(root, "from-latest", small_job("start_from=models:small/latest")).state(1).weights) == [4.5, 4.5, 4.5]
    assert published(root, "c", small_job("start_from=models:small/production"), accuracy=0.9)["version"] == 3
    assert registry.read(root, "small/3")["parent"] == "small/1"


def test_a_question_mark_starts_afresh_while_there_is_no_such_version(root: DictStore) -> None:
    job = small_job("start_from='models:small/production?'")
    assert numbers(begun(root, "a", job).state(1).weights) == [0, 0, 0]
    published(root, "b", target=three(1, 2, 3))
    assert numbers(begun(root, "c", job).state(1).weights) == [0.5, 1.0, 1.5]


def test_a_start_from_a_version_of_another_program_is_refused(root: DictStore) -> None:
    model = encode_tensors({"w": np.zeros((1, 7), np.float32)}, {})
    facts = {"run": "a", "digest": "d", "model_sha256": sha256(model), "data": {}}
    registry.add(root, "other", {registry.MODEL: model}, facts, signed_by(trained(root, "a")))
    with pytest.raises(InputError, match="start_from is 'models:other/1', which has no weight 'b'; it was trained with another program"):
        begun(root, "b", small_job("start_from=models:other/1"))


def test_a_start_from_the_registry_needs_one() -> None:
    with pytest.raises(InputError, match="start_from is 'models:small/latest', but this run lies in no store with a registry; say where that is with --store"):
        begun(None, "b", small_job("start_from=models:small/latest"))


def test_a_run_in_a_store_finds_the_registry_of_that_store(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    found = registry_of(Run("a", small_job(), store.at("runs/a")))
    assert found is not None
    assert found.uri == store.uri
    assert registry_of(Run("a", small_job(), FileStore(tmp_path / "elsewhere"))) is None
    assert registry_of(Run("a", small_job(), FileStore(tmp_path / "elsewhere"), root=store)) is store


def test_only_a_first_worker_that_needs_published_models_may_read_them() -> None:
    def readable(job: Job, worker: str) -> bool:
        statements = policies(job, "bucket", "prefix")[worker]["Statement"]
        return any("arn:aws:s3:::bucket/prefix/models/*" in one["Resource"] for one in statements if "s3:GetObject" in one["Action"])

    job = small_job("federation.workers=2", "start_from=models:small/production")
    assert [readable(job, worker) for worker in ("worker-0", "worker-1", "server")] == [True, False, True]
    assert not readable(small_job("federation.workers=2"), "worker-0")
