"""What pydantic found wrong, as one sentence with the key, the value and the way out."""

import re
from collections.abc import Iterable, Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from fl_core.errors import did_you_mean

SHOWN_MAX = 60
_SPOKEN_OF_FIRST = {"extra_forbidden": 0, "missing": 1}
# What a range or a type of value means to the user, by the start of pydantic's name for the error.
_WAYS_OUT: Mapping[str, str] = {
    "int_": "it is a whole number.",
    "float_": "it is a number.",
    "finite_": "it is a number, neither NaN nor Inf.",
    "bool_": "it is true or false.",
    "string_type": "it is text, so put it in quotes.",
    "string_too_short": "it is a word of at least {min_length} letter.",
    "string_too_long": "it has at most {max_length} letters.",
    "dict_": "it holds keys and values.",
    "model_": "it holds keys and values.",
    "list_": "it is a list.",
    "tuple_": "it is a list.",
    "is_instance_of": "it is a {class}.",
    "path_type": "it is the path of a file or folder.",
    "greater_than_equal": "it is at least {ge}.",
    "greater_than": "it is above {gt}.",
    "less_than_equal": "it is at most {le}.",
    "less_than": "it is below {lt}.",
    "literal_error": "it is {expected}.",
    "extra_forbidden": "nobody knows that key, so leave it out.",
}


def worst(error: ValidationError) -> ErrorDetails:
    """The error to speak of: an unknown key, then a missing one, then the one that lies deepest (of a choice, the branch that fits best)."""
    return min(error.errors(), key=lambda found: (_SPOKEN_OF_FIRST.get(found["type"], 2), -len(found["loc"])))


def key_of(found: ErrorDetails) -> str:
    """The key as the user wrote it, such as `federation.workers.0.name`, without pydantic's names for the branches of a choice."""
    return ".".join(str(word) for word in found["loc"] if isinstance(word, int) or (re.fullmatch(r"[\w-]+", word) and word not in ("int", "constrained-int")))


def say(found: ErrorDetails, key: str, rules: Mapping[str, str] | None = None) -> str:
    """The sentence; `rules` are ways out by key that say more than the type does."""
    if found["type"] == "value_error":
        reason = ended(found["msg"].removeprefix("Value error, "))
        return f"{key} is {shown(found['input'])}; {reason}" if key else reason
    return f"{key} is {shown(found['input'])}; {(rules or {}).get(key) or _way_out(found)}"


def shown(value: object) -> str:
    """The value as a sentence can hold it."""
    if value is None:
        return "empty"
    text = repr(value)
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 1]}…"


def ended(text: str) -> str:
    """The text on one line, with one full stop."""
    line = " ".join(text.split())
    return line if line.endswith("?") else f"{line.rstrip('.')}."


def ranges(numbers: Iterable[int]) -> str:
    """Rising numbers as text, those in a row as one: 1-3, 7."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)


def unknown(key: str, known: Iterable[str]) -> str:
    """The sentence about a key that nobody knows."""
    return f"'{key}' is no key of a job; {did_you_mean(key.rpartition('.')[2], known)}"


def _way_out(found: ErrorDetails) -> str:
    context = {key: int(value) if isinstance(value, float) and value.is_integer() else value for key, value in found.get("ctx", {}).items()}
    if found["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", str(context["expected"]))
        meant = did_you_mean(str(found["input"]), choices)
        if meant.startswith("did"):
            return meant
    template = next((text for start, text in _WAYS_OUT.items() if found["type"].startswith(start)), None)
    return template.format(**context) if template else ended(found["msg"])
