"""Calls the function that a job names with the options that it gives, checked against the function's own annotations."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ConfigDict, ValidationError, validate_call
from pydantic_core import ErrorDetails

from fl_core.errors import FederationError, InputError, did_you_mean
from fl_core.sentence import ended, key_of, say, worst


def build(builder: Callable[..., Any], kind: str, name: str, options: Mapping[str, Any], more: Mapping[str, Any], also: Iterable[str] = ()) -> Any:
    """builder(**options, **more); InputError for an unknown or missing option, a bad value, or whatever the builder raises.

    `kind` and `name` are what the job calls it; `more` is what the federation hands in; `also` are keys that stand beside the options in the job.
    """
    if not callable(builder) or isinstance(builder, type):
        what = "a class" if isinstance(builder, type) else type(builder).__name__
        raise InputError(f"The {kind} '{name}' is {what}; name a function that builds it.")
    _check_names(builder, kind, name, options, more, also)
    try:
        checked = validate_call(config=ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False))(builder)
        return checked(**options, **more)
    except ValidationError as error:
        found = worst(error)
        key = f"{kind}.{key_of(found)}"
        raise InputError(say(found, key, {key: way_out} if (way_out := _close_key(builder, found)) else {})) from error
    except FederationError:
        raise
    except Exception as error:
        if isinstance(error, ValueError) and str(error).partition(" ")[0] in {*options, *more}:
            raise InputError(f"{kind}.{ended(str(error))}") from error
        raise InputError(f"The {kind} '{name}' cannot be built: {type(error).__name__}: {ended(str(error))}") from error


def _close_key(builder: Callable[..., Any], found: ErrorDetails) -> str:
    """What an unknown key of an option with keys of its own may have meant; empty for all else."""
    option, word = found["loc"][0], found["loc"][-1]
    known = getattr(inspect.signature(builder).parameters[str(option)].annotation, "model_fields", {}) if found["type"] == "extra_forbidden" else {}
    return did_you_mean(str(word), known) if known else ""


def _check_names(builder: Callable[..., Any], kind: str, name: str, options: Mapping[str, Any], more: Mapping[str, Any], also: Iterable[str]) -> None:
    known = inspect.signature(builder).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    for option in options:
        if option in more or (option not in known and not takes_any):
            raise InputError(f"{kind}.{option} is not an option of '{name}'; {did_you_mean(option, {*known, *also} - set(more))}")
    for word, parameter in known.items():
        named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if named and parameter.default is parameter.empty and word not in options and word not in more:
            raise InputError(f"{kind}.{word} is missing; '{name}' needs it.")
