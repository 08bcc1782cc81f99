"""Keys of roles; what signatures protect is shown in test_verify and test_server."""

import base64
import string

import pytest

from fl_core.errors import InputError, KeyTaken, SignatureError
from fl_core.signing import check, make_key, new_key, public_key, sign
from fl_core.store import DictStore


def test_a_role_keeps_its_first_key() -> None:
    private = DictStore({})
    assert make_key(private, "a") == make_key(private, "a") != make_key(private, "b")


def test_of_two_processes_that_make_a_roles_key_at_once_both_have_the_first() -> None:
    class Raced(DictStore):
        """Says that there is no key although another process has just put one."""

        def exists(self, key: str) -> bool:
            return False

        def put(self, key: str, data: bytes | memoryview) -> bool:
            raise KeyTaken(key)

    first = new_key()
    assert make_key(Raced({"keys/a": first}), "a") == public_key(first)


def same_bytes(text: str) -> str:
    """Other base64 of the same bytes: the last letter before the padding has bits that decoding passes over."""
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
    place = len(text.rstrip("=")) - 1
    return text[:place] + letters[letters.index(text[place]) ^ 1] + text[place + 1 :]


def test_a_signature_is_written_in_one_way_only(monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key()
    record = sign({"round": 1}, "server", key)
    with pytest.raises(SignatureError, match="it was changed or forged after it was written"):
        check({**record, "signature": same_bytes(record["signature"])}, "server", public_key(key), "it")
    with pytest.raises(InputError, match="is no public key"):
        check(record, "server", same_bytes(public_key(key)), "it")
    monkeypatch.setattr("fl_core.signing._from_base64", base64.b64decode)
    check({**record, "signature": same_bytes(record["signature"])}, "server", public_key(key), "without that rule both are good")


def test_a_record_that_is_nested_too_deep_to_be_written_carries_no_signature() -> None:
    nested: list[object] = []
    for _ in range(2000):
        nested = [nested]
    with pytest.raises(SignatureError):
        check({"nested": nested, "signer": "a", "signature": ""}, "a", public_key(new_key()), "it")
