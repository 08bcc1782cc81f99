"""Whom a role takes for the server of a run: itself where the server's key lies in its private place, else the one that it met first in that store."""

from collections.abc import Callable

from fl_core import signing
from fl_core.codec import sha256
from fl_core.errors import SignatureError
from fl_core.store import Store


def known_server_key(private: Store, place: Store) -> str:
    """The public key that must have signed the run at this place, as far as the private place knows; empty where it knows none."""
    if private.exists(f"keys/{signing.SERVER}"):
        return signing.public_key(signing.own_key(private, signing.SERVER))
    return met_server_key(private, place)


def met_server_key(private: Store, place: Store) -> str:
    """The server's key that was met first in the store that the run lies in; empty where none was."""
    key = _key(place)
    return bytes(private.get(key)).decode() if private.exists(key) else ""


def meet(private: Store, place: Store, server_key: str, tell: Callable[[str], None]) -> None:
    """Trusts the first server that is met in a store, from then on no other. SignatureError for another."""
    if not private.exists(_key(place)):
        tell(f"meets the server's key {server_key} for the first time and trusts it from now on")
        private.put(_key(place), server_key.encode())
    if met_server_key(private, place) != server_key:
        raise SignatureError(
            f"{place.uri} is signed by the server key {server_key}, which is not the one met before in this store; somebody else leads it. "
            f"Where the server has a new key on purpose, remove '{_key(place)}' from {private.uri}."
        )


def _key(place: Store) -> str:
    """By the store, and not by the run: a federation keeps its server from run to run."""
    root = place.uri.rstrip("/").rpartition("/runs/")[0] or place.uri
    return f"trusted_server_keys/{sha256(root.encode())[:16]}"
