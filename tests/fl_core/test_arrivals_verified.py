"""A run with measured arrivals is verified from its records, against a server that cheats, too."""

import pytest

from fl_core.codec import sha256
from fl_core.run_folder import Run, close_key, plan_key
from fl_core.verify import verify
from tests.fl_core.arriving import federation, forge, round_of


@pytest.fixture
def closed_rounds() -> Run:
    one = federation()
    round_of(one, 1, a=1)
    round_of(one, 2, a=2)
    round_of(one, 3, b=1)
    return one


def test_a_good_run_is_merged_again_from_its_records(closed_rounds: Run) -> None:
    found = verify(closed_rounds.store)
    assert (found.found, found.replayed) == ([], [1, 2, 3])


def test_a_changed_byte_of_a_late_reply_is_located(closed_rounds: Run) -> None:
    key = next(iter(closed_rounds.record(close_key(3))["replies"]))
    data = bytearray(closed_rounds.store.get(key))
    data[-1] ^= 1
    closed_rounds.store.delete(key)
    closed_rounds.store.put(key, bytes(data))
    assert verify(closed_rounds.store).found == [f"'{key}' is not the reply that round 3 was closed with; it was changed."]


def rewrite(run: Run, key: str, **changes: object) -> None:
    """Another record in the place of one, signed by the server itself."""
    plain = {word: value for word, value in run.record(key).items() if word not in ("format", "signature", "signer")}
    run.store.delete(key)
    run.put(key, {**plain, **changes})


def test_a_server_that_counts_a_reply_twice_is_found(closed_rounds: Run) -> None:
    first = closed_rounds.record(close_key(1))
    rewrite(closed_rounds, close_key(3), replies=first["replies"], clients=first["clients"], bases=first["bases"])
    (key,) = first["replies"]
    assert f"'{close_key(3)}' accepts '{key}', which nobody in flight was to send." in verify(closed_rounds.store).found


def test_a_server_that_makes_a_stale_reply_fresh_is_found(closed_rounds: Run) -> None:
    rewrite(closed_rounds, close_key(3), bases={"b": 3})
    found = verify(closed_rounds.store).found
    assert f"'{close_key(3)}' lists other clients than its replies are of." in found
    assert "'rounds/0004/state.safetensors' is not what the replies of round 3 add up to." in found


def test_a_reply_to_another_plan_is_found_though_server_and_worker_agree(closed_rounds: Run) -> None:
    (key,) = closed_rounds.record(close_key(3))["replies"]
    forge(closed_rounds, key, record={"plan": "0" * 64})
    rewrite(closed_rounds, close_key(3), replies={key: sha256(closed_rounds.store.get(key))})
    assert f"'{key}' is not the reply of b to the plan of round 1." in verify(closed_rounds.store).found


def test_a_plan_that_conceals_who_is_in_flight_is_found(closed_rounds: Run) -> None:
    rewrite(closed_rounds, plan_key(3), in_flight={})
    assert f"'{plan_key(3)}' does not say who was in flight after round 2." in verify(closed_rounds.store).found


def test_a_plan_that_starts_somebody_twice_is_found(closed_rounds: Run) -> None:
    rewrite(closed_rounds, plan_key(3), workers={"worker-0": [["b"]]})
    assert f"'{plan_key(3)}' starts b anew, in flight since an earlier round." in verify(closed_rounds.store).found
