"""Signatures on what the roles write: Ed25519 over canonical JSON.

Threat model: whoever administers the store, or any other party that can write to it, may add, change, swap, replay or remove keys. A record counts only
if it carries the signature of the role that should have written it; it names its run, round and part, and rests on others by their sha256, so that an
old or foreign record is refused where a new one is due. Tensors are covered by a digest inside the signed record. Removal is not prevented: it is a
missing reply, or a run that cannot go on. Not covered: a role that lies in what it signs, and a role whose private key was taken.

The server's public key stands in the run's manifest; who wants to be sure that the run is the server's own compares that key with one got elsewhere.
A worker's stands in the job's roster; where the roster gives none, the worker enrols with its data card, once, and the server's first plan fixes it.
"""

import base64
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from fl_core.codec import Record, encode_record
from fl_core.errors import InputError, KeyMissing, KeyTaken, SignatureError
from fl_core.store import Store

SERVER = "server"
_DOMAIN = b"paddlefl record 1\n"


def new_key() -> bytes:
    """A private key, 32 bytes from the operating system's randomness."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())


def public_key(key: bytes) -> str:
    """The public half of a private key, base64."""
    return base64.b64encode(_private(key).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def make_key(private: Store, role: str) -> str:
    """Makes the role's private key in the organisation's private place, unless it has one; gives the public half."""
    if not private.exists(f"keys/{role}"):
        with suppress(KeyTaken):  # another process of the role, started at the same moment, was first
            private.put(f"keys/{role}", new_key())
    return public_key(own_key(private, role))


def own_key(private: Store, role: str) -> bytes:
    """The role's private key; InputError where this place has none."""
    try:
        return bytes(private.get(f"keys/{role}"))
    except KeyMissing:
        raise InputError(
            f"There is no private key of '{role}' in {private.uri}; only where it lies can '{role}' sign. Go on there, or say with --private where it is."
        ) from None


def sign(record: Mapping[str, Any], signer: str, key: bytes) -> Record:
    """The record with its signer's name and signature."""
    whole = {**record, "signer": signer}
    return {**whole, "signature": base64.b64encode(_private(key).sign(_message(whole))).decode()}


def check(record: Record, signer: str, public: str, what: str) -> None:
    """SignatureError unless the record is what the signer wrote; `what` names it in the error."""
    whole = {word: value for word, value in record.items() if word != "signature"}
    try:
        if whole.get("signer") != signer:
            raise SignatureError(f"{what} is signed by {whole.get('signer')!r}, not by '{signer}'.")
        _public(public).verify(_from_base64(record["signature"]), _message(whole))
    except (InvalidSignature, KeyError, ValueError, TypeError, RecursionError):
        raise SignatureError(f"{what} does not carry the signature of '{signer}': it was changed or forged after it was written.") from None


def check_public_key(key: str) -> None:
    """InputError where the text is no public key."""
    _public(key)


def _message(record: Mapping[str, Any]) -> bytes:
    return _DOMAIN + encode_record(record)


def _from_base64(text: str) -> bytes:
    """The bytes; ValueError where they are not written in the one way in which we write them: the last letter has bits that decoding passes over."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError(f"'{text}' is not canonical base64")
    return data


@lru_cache(maxsize=1024)
def _private(key: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(key)


@lru_cache(maxsize=1024)
def _public(key: str) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(_from_base64(key))
    except ValueError as error:
        raise InputError(f"'{key}' is no public key: it is 32 bytes in base64, as `fl keys new` prints it.") from error
