import sys
from types import FunctionType

import pytest

from fl_core.errors import InputError
from fl_core.reference import FOLDERS, built_in, resolve, user_file
from fl_core.strategies.fed_avg import fed_avg

CODE = {"my.py": "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int = 3\ndef five():\n    return 5\n"}


@pytest.mark.parametrize("kind", FOLDERS)
def test_every_built_in_is_a_file_of_its_own_name(kind: str) -> None:
    names = built_in(kind)
    assert names
    assert not [name for name in names if name.startswith("_")]
    assert all(resolve(kind, name, {}) is not None for name in names if kind != "program")


def test_a_built_in_a_module_and_a_file_are_found_by_name() -> None:
    assert resolve("strategy", "fed_avg", {}) is fed_avg
    assert resolve("strategy", "fl_core.strategies.fed_avg:fed_avg", {}) is fed_avg
    assert resolve("strategy", "my.py:five", CODE)() == 5


def test_the_same_text_is_imported_once_and_another_text_anew() -> None:
    once, again = (resolve("strategy", "my.py:five", CODE) for _ in range(2))
    other = resolve("strategy", "my.py:five", {"my.py": CODE["my.py"] + "# changed\n"})
    assert once is again
    assert other is not once


def test_a_users_classes_know_their_module() -> None:
    point = resolve("strategy", "my.py:Point", CODE)
    assert point().x == 3
    assert sys.modules[point.__module__].Point is point


def test_a_users_error_shows_its_line() -> None:
    function: FunctionType = resolve("strategy", "my.py:five", CODE)
    assert function.__code__.co_filename.startswith("<my.py ")


def test_a_file_that_fails_leaves_no_module_behind_and_may_be_tried_again() -> None:
    before = set(sys.modules)
    for _ in range(2):
        with pytest.raises(InputError, match=r"'my.py' cannot be imported: ZeroDivisionError at line 1: division by zero\."):
            resolve("strategy", "my.py:five", {"my.py": "1 / 0"})
    assert not {name for name in set(sys.modules) - before if name.startswith("fl_user_")}


def test_a_file_that_is_no_part_of_the_job_is_refused() -> None:
    with pytest.raises(InputError, match=r"The job names 'your.py' for its strategy, but that file is not part of the job\."):
        resolve("strategy", "your.py:five", CODE)


def test_only_names_of_files_speak_of_files() -> None:
    assert user_file("my.py:program") == "my.py"
    assert user_file("a/my.py:program") == "a/my.py"
    assert [user_file(name) for name in ("fed_avg", "package.module:attribute", "my.py", "")] == [None] * 4
