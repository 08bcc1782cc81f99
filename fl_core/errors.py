"""Every error that the federation raises on purpose: a sentence with the value and the way out.

FederationError            exit 1
├── InputError             exit 2   the job, the data or the user's code is wrong
├── PolicyError            exit 3   refused by policy
│   ├── QuorumError                 too few clients answered
│   └── SignatureError              a record is not what its signer wrote
├── StoreError             exit 1   the store did not do what it was asked
│   ├── KeyMissing                  nothing lies under that key
│   └── KeyTaken                    a write-once key holds other bytes
└── TrainingError          exit 1   a stage's training process failed for good
"""

import difflib
from collections.abc import Iterable


class FederationError(Exception):
    """The base; its text is one sentence for the user."""

    exit_code = 1


class InputError(FederationError):
    exit_code = 2


class PolicyError(FederationError):
    exit_code = 3


class QuorumError(PolicyError):
    pass


class SignatureError(PolicyError):
    pass


class StoreError(FederationError):
    pass


class KeyMissing(StoreError):
    def __init__(self, key: str) -> None:
        super().__init__(f"Nothing lies under the key '{key}'.")
        self.key = key


class KeyTaken(StoreError):
    def __init__(self, key: str) -> None:
        super().__init__(f"The key '{key}' is written already, with other bytes; keys are written once.")
        self.key = key


class TrainingError(FederationError):
    pass


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence: a close match, or all that is known."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known are {', '.join(known)}." if known else "none is known."
