"""Finds what a job names: something built in, or something in the user's own file.

A name is a built-in (`fed_avg`, a module of its folder), `module.path:attribute`, or `my_file.py:attribute`. A user's file travels as text inside the
job; its sha256 is checked where the job is read, before any line of it runs.
"""

import importlib
import linecache
import pkgutil
import sys
import traceback
from collections.abc import Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any

from fl_core.codec import sha256
from fl_core.errors import FederationError, InputError, did_you_mean

FOLDERS = {
    "strategy": "fl_core.strategies",
    "selection": "fl_core.selections",
    "data": "fl_core.datasets",
    "partition": "fl_core.partitions",
    "program": "fl_core.programs",
}


def built_in(kind: str) -> list[str]:
    """The names of the built-in things of a kind."""
    folder = importlib.import_module(FOLDERS[kind])
    return [module.name for module in pkgutil.iter_modules(folder.__path__) if not module.name.startswith("_")]


def user_file(name: str) -> str | None:
    """The file that a name such as `my_file.py:attribute` speaks of, None for any other name."""
    file, separator, _ = name.rpartition(":")
    return file if separator and file.endswith(".py") else None


def module_of(kind: str, name: str) -> str | None:
    """The module that a name speaks of, None for a user's file."""
    file, separator, _ = name.rpartition(":")
    if not separator:
        return f"{FOLDERS[kind]}.{name}"
    return None if file.endswith(".py") else file


def resolve(kind: str, name: str, code: Mapping[str, str]) -> Any:
    """The object that the name stands for; InputError with the way out where there is none."""
    file, separator, attribute = name.rpartition(":")
    if not separator:
        if name not in built_in(kind):
            raise InputError(f"No {kind} is called '{name}'; {did_you_mean(name, built_in(kind))}")
        module, attribute = importlib.import_module(f"{FOLDERS[kind]}.{name}"), "program" if kind == "program" else name
    elif file.endswith(".py"):
        if file not in code:
            raise InputError(f"The job names '{file}' for its {kind}, but that file is not part of the job.")
        module = _import_text(file, code[file])
    else:
        try:
            module = importlib.import_module(file)
        except ImportError as error:
            raise InputError(f"The {kind} '{name}' cannot be imported: {error}; is it installed, or is it a file such as my_{kind}.py:{attribute}?") from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        public = [word for word in vars(module) if not word.startswith("_")]
        raise InputError(f"'{file}' has no '{attribute}' for the {kind}; {did_you_mean(attribute, public)}") from None


def _import_text(file: str, text: str) -> ModuleType:
    """The user's file as a module of its own; the same text is imported once a process."""
    return _import_once(file, text, sha256(text.encode()))


@lru_cache(maxsize=64)
def _import_once(file: str, text: str, digest: str) -> ModuleType:
    name = f"fl_user_{digest[:16]}"
    shown = f"<{file} {digest[:8]}>"
    linecache.cache[shown] = (len(text), None, text.splitlines(keepends=True), shown)
    module = ModuleType(name)
    module.__file__ = shown
    sys.modules[name] = module
    try:
        exec(compile(text, shown, "exec"), module.__dict__)
    except FederationError:
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise InputError(_why_not_imported(file, shown, error)) from error
    return module


def _why_not_imported(file: str, shown: str, error: BaseException) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == shown]
    message, line = str(error), lines[-1] if lines else None
    if isinstance(error, SyntaxError):
        message, line = error.msg, error.lineno
    more = "; a file of a job travels alone, so install what it needs or put it into the file" if isinstance(error, ImportError) else ""
    return f"'{file}' cannot be imported: {type(error).__name__}{f' at line {line}' if line else ''}: {message.rstrip('.')}{more}."
