"""Keys of roles; what signatures protect is shown in test_verify and test_server."""

from fl_core.errors import KeyTaken
from fl_core.signing import make_key, new_key, public_key
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
