from typing import Any

import pytest

from fl_core.errors import InputError
from fl_core.yaml_text import read_yaml, write_yaml


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 0.001), ("-2.5E2", -250.0), ("1e3", 1000.0), ("1.5", 1.5), ("7", 7), ("e3", "e3"), ("'1e3'", "1e3"), ("0x1", 1)]
)
def test_numbers_are_read_as_people_write_them(text: str, value: object) -> None:
    found = read_yaml(text, "It")
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("value", ["1e3", "7", "yes", "null", "a: b", "", "köln", 1e-7, 3.0, True, None, [1, "2"], {"b": 1, "a": {"c": "1E5"}}])
def test_what_is_written_is_read_back_as_it_was(value: Any) -> None:
    again = read_yaml(write_yaml({"key": value}), "It")["key"]
    assert (again, type(again)) == (value, type(value))


def test_keys_keep_their_order() -> None:
    assert list(read_yaml(write_yaml({"b": 1, "a": 2}), "It")) == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\na: 2\n", "It is not YAML at line 2: the key 'a' is there twice."),
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", "It is not YAML at line 4: the key 'b' is there twice."),
        ("a: [1\n", "It is not YAML at line 2: expected ',' or ']', but got '<stream end>'."),
        ("? [1, 2]\n: 3\n", "It is not YAML at line 1: found unhashable key."),
        (
            "a: !!python/object:os.system 1\n",
            "It is not YAML at line 1: could not determine a constructor for the tag 'tag:yaml.org,2002:python/object:os.system'.",
        ),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        read_yaml(text, "It")
    assert str(caught.value) == sentence
