"""Verification finds and locates any change: attacks as a store administrator and as a worker, and twins without the protection that succeed."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from fl_core import resume, run, signing
from fl_core.codec import decode_record, decode_state, decode_tensors, digest_weights, encode_record, encode_state, encode_tensors, sha256
from fl_core.errors import InputError, SignatureError
from fl_core.generator import write_job
from fl_core.pool import Pool
from fl_core.run_folder import MANIFEST, Run, close_key, evaluation_key, plan_key, reply_key, state_key
from fl_core.runner import begin, new_run, open_run
from fl_core.scheduler import plan
from fl_core.server import close
from fl_core.signing import new_key, public_key, sign
from fl_core.store import DictStore, FileStore
from fl_core.summary import merge_metrics
from fl_core.types import RoundState
from fl_core.verify import verify
from fl_core.worker import take_part
from pipelines.cli import main
from tests.fl_core.test_signing import same_bytes
from tests.jobs import tiny_job

Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> Path:
    folder = tmp_path_factory.mktemp("verify") / "run"
    run(tiny_job("keep_updates=all"), out=folder, pool=pool)
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> Path:
    """A run whose first round has its replies and is not closed."""
    folder = tmp_path_factory.mktemp("half") / "run"
    one = new_run(tiny_job("quorum=0.1"), out=folder)
    begin(one, pool)
    plan(one, 1)
    pool.about(one.address)
    take_part(one, 1, ["worker-0", "worker-1"], pool)
    return folder


@pytest.fixture
def open_round(half: Path, tmp_path: Path) -> Run:
    shutil.copytree(half, tmp_path / "run")
    shutil.copytree(half.with_name("run.private"), tmp_path / "run.private")
    return open_run(tmp_path / "run")


def test_an_untouched_run_is_good_and_every_kept_round_is_merged_again(finished: Path) -> None:
    result = verify(FileStore(finished))
    assert result.found == []
    assert result.replayed == [1, 2, 3]
    assert result.digest == open_run(finished).record("summary.json")["digest"]


def test_a_run_that_kept_only_its_last_replies_says_what_was_replayed(tmp_path: Path, pool: Pool) -> None:
    run(tiny_job(), out=tmp_path / "run", pool=pool)
    result = verify(FileStore(tmp_path / "run"))
    assert (result.good, result.replayed, result.not_kept) == (True, [3], [1, 2])


def test_a_run_that_a_pipeline_planned_beyond_its_end_is_good(tmp_path: Path, pool: Pool) -> None:
    one = run(tiny_job("stop_when={accuracy: 0.1}"), out=tmp_path / "run", pool=pool).run
    assert one.last_round() < 4
    plan(one, one.last_round() + 1)
    assert verify(one.store).found == []


def kept(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def found_in(keys: dict[str, bytes]) -> list[str]:
    return verify(DictStore(dict(keys))).found


def changes_of(data: bytes) -> Iterator[bytes]:
    """The bytes with one of them changed: in several places, the bits of capitals (1e5, 1E5) and of line ends, and the last letter of a signature."""
    places = {place * (len(data) - 1) // 4 for place in range(5)} | {data.find(b"e-")} - {-1}
    for place in places:
        for flip in (1, ord("e") ^ ord("E"), ord("\n") ^ ord("\r")):
            yield data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :]
    last = data.rfind(b'=="') - 1
    if last > 0:
        yield data[:last] + same_bytes(data[last : last + 1].decode()).encode() + data[last + 1 :]


def test_one_changed_byte_anywhere_is_found_and_located(finished: Path) -> None:
    files = kept(finished)
    missed = [
        (name, changed[-200:])
        for name, data in files.items() for changed in changes_of(data)
        if not any(name in finding for finding in found_in({**files, name: changed}))
    ]  # fmt: skip
    assert len(files) > 26
    assert {"report.html", "journal.jsonl", "summary.json"} <= set(files)
    assert not missed


@pytest.mark.parametrize("change", ["drop the last", "drop one", "repeat one", "another writer", "no writer", "the same writer"])
def test_a_line_that_is_removed_from_the_journal_or_added_to_it_is_found(finished: Path, change: str) -> None:
    files = kept(finished)
    lines = files["journal.jsonl"].splitlines(keepends=True)
    last = json.loads(lines[-1])
    more = {
        "another writer": {**last, "writer": "0" * 32, "previous": ""}, "no writer": {"event": "finished"},
        "the same writer": {**last, "previous": sha256(lines[-1].rstrip())},
    }  # fmt: skip
    changed = {"drop the last": lines[:-1], "drop one": lines[:3] + lines[4:], "repeat one": lines[:3] + lines[2:]}
    files["journal.jsonl"] = b"".join(changed[change] if change in changed else [*lines, json.dumps(more[change]).encode() + b"\n"])
    assert last["event"] == "finished"
    assert [found for found in found_in(files) if "'journal.jsonl' was changed" in found]


def test_without_signed_lines_a_false_event_after_the_end_would_pass(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = kept(finished)
    files["journal.jsonl"] += json.dumps({"event": "died", "writer": "0" * 32, "previous": ""}).encode() + b"\n"
    assert found_in(files)
    monkeypatch.setattr("fl_core.verify.is_signed", lambda run, data: True)
    assert found_in(files) == []


def _rewrite(folder: Path, key: str, change: Callable[[dict], None]) -> None:
    record = json.loads((folder / key).read_bytes())
    change(record)
    (folder / key).write_bytes(encode_record(record))


@pytest.mark.parametrize(
    ("key", "change", "finding"),
    [
        (plan_key(2), lambda r: r.update(clients=1), f"'{plan_key(2)}' does not carry the signature of 'server'"),
        (close_key(2), lambda r: r["clients"].popitem(), f"'{close_key(2)}' does not carry the signature of 'server'"),
        ("summary.json", lambda r: r["metrics"].update(accuracy=1.0), "'summary.json' does not carry the signature of 'server'"),
        ("job/cards/worker-1.json", lambda r: r.update(sizes=9), "'job/cards/worker-1.json' is not the card that the plan of round 1 names"),
        (MANIFEST, lambda r: r.update(server_key=public_key(new_key())), f"'{MANIFEST}' does not carry the signature of 'server'"),
    ],
)
def test_a_changed_record_is_not_what_its_signer_wrote(copy: Path, key: str, change: Callable[[dict], None], finding: str) -> None:
    _rewrite(copy, key, change)
    assert any(found.startswith(finding) for found in verify(FileStore(copy)).found)


def test_an_administrator_who_signs_everything_anew_is_found_by_the_pinned_key(finished: Path) -> None:
    true_key = open_run(finished).manifest["server_key"]
    assert verify(FileStore(finished), true_key).good
    result = verify(FileStore(finished), public_key(new_key()))
    assert "not by the server key" in result.found[0]


def test_a_swapped_state_is_found(copy: Path) -> None:
    state = decode_state((copy / state_key(3)).read_bytes(), "state")
    changed = RoundState(3, {n: v + np.float32(1) for n, v in state.weights.items()})
    (copy / state_key(3)).write_bytes(encode_state(changed))
    found = verify(FileStore(copy)).found
    assert f"'{state_key(3)}' is not the state that the plan of round 3 names; it was changed." in found


def test_a_plan_of_another_run_of_the_same_job_is_found(copy: Path, tmp_path: Path, pool: Pool) -> None:
    run(tiny_job(), out=tmp_path / "other", pool=pool)
    (copy / plan_key(2)).write_bytes((tmp_path / "other" / plan_key(2)).read_bytes())
    assert any(plan_key(2) in found for found in verify(FileStore(copy)).found)


def test_a_file_that_is_not_part_of_the_run_is_found(copy: Path) -> None:
    (copy / "rounds/0002/extra.json").write_text("{}")
    assert verify(FileStore(copy)).found == ["'rounds/0002/extra.json' is not part of the run."]


LATER = ("rounds/0003/", "rounds/0004/", "summary.json", "metrics.jsonl", "model.safetensors", "report.html")


def without(files: dict[str, bytes], *starts: str) -> dict[str, bytes]:
    return {key: data for key, data in files.items() if not key.startswith(starts)}


def test_a_run_that_stopped_is_good_and_said_to_be_unfinished(finished: Path) -> None:
    result = verify(DictStore(without(kept(finished), *LATER, "journal.jsonl")))
    assert (result.found, result.finished, result.rounds, result.rounds_max) == ([], False, 1, 3)
    whole = verify(FileStore(finished))
    assert (whole.finished, whole.rounds) == (True, 3)


def test_a_federation_that_is_yet_to_come_together_is_good(tmp_path: Path) -> None:
    one = Run("r", tiny_job(), DictStore({}))
    write_job(one, keys="roster")
    result = verify(one.store)
    assert (result.found, result.finished, result.rounds) == ([], False, 0)


def test_a_run_that_was_cut_short_is_found_by_what_the_journal_tells_of_it(finished: Path) -> None:
    assert found_in(without(kept(finished), *LATER)) == ["'rounds/0003/plan.json' is missing.", "'summary.json' is missing."]


@pytest.mark.parametrize(
    ("key", "resting"),
    [
        ("job/cards/worker-1.json", None),
        ("rounds/0002/plan.json", "'rounds/0003/close.json' is not part of the run."),
        ("rounds/0002/close.json", "'rounds/0003/plan.json' is not part of the run."),
        ("rounds/0004/plan.json", None),
        ("rounds/0004/state.safetensors", "'rounds/0003/state.safetensors' has the digest "),
        ("rounds/0002/metrics.json", "'metrics.jsonl' does not say "),
        ("journal.jsonl", None),
        ("summary.json", "'model.safetensors' is not part of the run."),
        ("model.safetensors", None),
    ],
)
def test_what_is_missing_is_said_and_what_rests_on_it_is_only_counted(finished: Path, key: str, resting: str | None) -> None:
    result = verify(DictStore(without(kept(finished), key)))
    assert result.found == [f"'{key}' is missing."]
    assert any(found.startswith(resting) for found in result.resting) if resting else not result.resting


def test_whatever_is_missing_verification_ends(finished: Path) -> None:
    files = kept(finished)
    ends = {key: found_in(without(files, key)) for key in files if key != MANIFEST}
    fixed = [key for key in ends if key.startswith(("job/", "rounds/")) and key.endswith(("plan.json", "close.json", "yaml", "roster.json"))]
    assert len(fixed) == 9
    assert [key for key in fixed if not (len(ends[key]) == 1 and key in ends[key][0] and "is missing" in ends[key][0])] == []


def test_where_there_is_no_run_or_no_key_the_input_is_wrong(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no run in"):
        verify(FileStore(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="'abc' is no public key"):
        verify(FileStore(finished), "abc")


def test_the_command_says_what_is_unfinished_and_counts_what_rests(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for key in without(kept(copy), "job/", "rounds/0001/", "rounds/0002/"):
        (copy / key).unlink()
    assert main(["verify", str(copy)]) == 0
    assert capsys.readouterr().out.startswith("unfinished: 1 of 3 rounds\ngood: digest ")
    assert main(["verify", str(copy), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["good"], facts["finished"], facts["rounds"]) == (True, False, 1)
    (copy / plan_key(1)).unlink()
    assert main(["verify", str(copy)]) == 3
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == ["unfinished: 1 of 3 rounds", f"'{plan_key(1)}' is missing."]
    assert said[-1].startswith("(and ")


@pytest.mark.parametrize(
    "key", ["rounds/0001/train/worker-9/evil.safetensors", "rounds/0001/train/worker-0/007.safetensors", "rounds/0001/ask/worker-0/000.safetensors"]
)
def test_a_reply_that_no_plan_asks_for_is_found(finished: Path, key: str) -> None:
    files = kept(finished)
    assert found_in({**files, key: files[reply_key(1, "train", "worker-0", 0)]}) == [f"'{key}' is not part of the run."]


# ---- attacks on a running round ---------------------------------------------------------------------------------------------------------------


def _reasons(one: Run) -> dict[str, str]:
    record = close(one, 1)
    assert record is not None
    return {entry["worker"]: entry["reason"] for entry in record["left_out"]}


def _replace(one: Run, data: bytes, worker: str = "worker-1", part: int = 0) -> None:
    key = reply_key(1, "train", worker, part)
    one.store.delete(key)
    one.store.put(key, data)


def _forged(one: Run, signer: str, key: bytes) -> bytes:
    """A reply of worker-1 whose totals are a million times what they were."""
    tensors, record = decode_tensors(one.store.get(reply_key(1, "train", "worker-1", 0)), "reply")
    big = {name: value.astype(np.int64) * 1000 for name, value in tensors.items()}
    plain = {word: value for word, value in record.items() if word not in ("signature", "signer")}
    return encode_tensors(big, sign({**plain, "tensors": digest_weights(big)}, signer, key))


def test_a_reply_with_other_tensors_than_were_signed_is_refused(open_round: Run) -> None:
    tensors, record = decode_tensors(open_round.store.get(reply_key(1, "train", "worker-1", 0)), "reply")
    _replace(open_round, encode_tensors({name: value * 1000 for name, value in tensors.items()}, record))
    assert "holds other tensors than 'worker-1' signed" in _reasons(open_round)["worker-1"]


def test_a_reply_signed_by_an_unknown_key_is_refused(open_round: Run) -> None:
    _replace(open_round, _forged(open_round, "worker-1", new_key()))
    assert "does not carry the signature of 'worker-1'" in _reasons(open_round)["worker-1"]


def test_a_worker_cannot_reply_in_the_name_of_another(open_round: Run) -> None:
    _replace(open_round, _forged(open_round, "worker-0", signing.own_key(open_round.private, "worker-0")))
    assert "is signed by 'worker-0', not by 'worker-1'" in _reasons(open_round)["worker-1"]


def test_a_reply_of_another_round_or_run_is_refused(open_round: Run, finished: Path) -> None:
    old = open_run(finished)
    _replace(open_round, bytes(old.store.get(reply_key(2, "train", "worker-1", 0))))
    assert "worker-1" in _reasons(open_round)


def test_an_evaluation_of_another_state_is_refused_by_the_server_and_passed_over_when_the_run_is_verified(open_round: Run) -> None:
    open_round.put(evaluation_key(1, "worker-0"), {"round": 1, "worker": "worker-0", "state": "0" * 64, "clients": {}})
    assert any("measured another state" in found for found in verify(open_round.store).found)
    merged = merge_metrics(open_round, 1)
    assert merged is not None
    assert (merged["metrics"], merged["refused"]) == ({}, {"worker-0": "its evaluation is of another state than round 1 starts from"})
    assert verify(open_round.store).found == []


def test_a_workers_own_reply_of_another_round_is_refused(open_round: Run) -> None:
    tensors, record = decode_tensors(open_round.store.get(reply_key(1, "train", "worker-1", 0)), "reply")
    plain = {word: value for word, value in record.items() if word not in ("signature", "signer")}
    stale = sign({**plain, "plan": "0" * 64}, "worker-1", signing.own_key(open_round.private, "worker-1"))
    _replace(open_round, encode_tensors(tensors, stale))
    assert _reasons(open_round)["worker-1"] == "its reply is for another round"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"clients": 5}, "clients"), ({"failures": {"client-3": 7}}, "failures.client-3"), ({"round": "one"}, "round"),
        ({"clients": {"client-3": {"weight": -1, "metrics": {}}}}, "clients.client-3.weight"), ({"clients": {"client-3": {}}}, "clients.client-3.weight"),
    ],
)  # fmt: skip
def test_a_reply_that_is_signed_and_malformed_is_left_out(open_round: Run, change: dict, what: str) -> None:
    tensors, record = decode_tensors(open_round.store.get(reply_key(1, "train", "worker-1", 0)), "reply")
    plain = {word: value for word, value in record.items() if word not in ("signature", "signer")}
    _replace(open_round, encode_tensors(tensors, sign({**plain, **change}, "worker-1", signing.own_key(open_round.private, "worker-1"))))
    assert _reasons(open_round)["worker-1"] == f"its reply was refused: '{what}' is not what a reply holds"


def test_without_the_check_of_signatures_a_forged_reply_would_be_accepted(open_round: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _replace(open_round, _forged(open_round, "worker-1", new_key()))
    monkeypatch.setattr(signing, "check", lambda *arguments: None)
    assert _reasons(open_round) == {}
    assert max(np.abs(value).max() for value in open_round.state(2).weights.values()) > 100


def test_a_worker_refuses_a_swapped_state(half: Path, tmp_path: Path, pool: Pool) -> None:
    shutil.copytree(half, tmp_path / "run")
    shutil.copytree(half.with_name("run.private"), tmp_path / "run.private")
    one = open_run(tmp_path / "run")
    state = one.state(1)
    one.store.delete(state_key(1))
    one.store.put(state_key(1), encode_state(RoundState(1, {n: v + np.float32(1) for n, v in state.weights.items()})))
    one.store.delete(reply_key(1, "train", "worker-0", 0))
    pool.about(one.address)
    with pytest.raises(SignatureError, match="is not the state that the plan of round 1 names; it was swapped"):
        take_part(one, 1, ["worker-0"], pool)


def test_a_swapped_program_is_refused(copy: Path) -> None:
    (copy / "job/job.yaml").write_text((copy / "job/job.yaml").read_text().replace("digits:program", "logistic:program"))
    with pytest.raises(Exception, match=r"'job/job.yaml' in .* was changed after the run began"):
        resume(copy)


def test_a_swapped_public_key_of_a_worker_is_found(copy: Path) -> None:
    card = decode_record((copy / "job/cards/worker-1.json").read_bytes(), "card")
    plain = {word: value for word, value in card.items() if word not in ("signature", "signer")}
    key = new_key()
    (copy / "job/cards/worker-1.json").write_bytes(encode_record(sign({**plain, "public_key": public_key(key)}, "worker-1", key)))
    assert "'job/cards/worker-1.json' is not the card that the plan of round 1 names." in verify(FileStore(copy)).found


def test_a_signature_is_bound_to_every_word_of_the_record() -> None:
    key = new_key()
    record = sign({"round": 1, "run": "a"}, "server", key)
    signing.check(record, "server", public_key(key), "it")
    for change in ({"round": 2}, {"run": "b"}, {"more": 1}, {"signer": "worker-0"}):
        with pytest.raises(SignatureError):
            signing.check({**record, **change}, "server", public_key(key), "it")
    with pytest.raises(SignatureError):
        signing.check({"round": 1, "run": "a"}, "server", public_key(key), "it")


def test_keys_are_made_once_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    private = FileStore(tmp_path, 0o600)
    first = signing.make_key(private, "worker-0")
    assert signing.make_key(private, "worker-0") == first
    assert (tmp_path / "keys/worker-0").stat().st_mode & 0o777 == 0o600


def test_private_keys_are_never_in_the_store(finished: Path) -> None:
    keys = [path.read_bytes() for path in finished.with_name("run.private").glob("keys/*")]
    assert len(keys) == 3
    for path in finished.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(key in data or key.hex().encode() in data for key in keys)
