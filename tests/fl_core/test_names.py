import doctest

import pytest

import fl_core.names
from fl_core.names import NumberedNames


def test_names_sort_like_their_numbers() -> None:
    names = NumberedNames(11)
    assert list(names)[:2] == ["client-00", "client-01"]
    assert sorted(names) == list(names)
    assert list(NumberedNames(3, "writer-")) == ["writer-0", "writer-1", "writer-2"]
    assert list(NumberedNames(0)) == []


def test_a_slice_keeps_the_names_it_cuts_out() -> None:
    part = NumberedNames(100)[10:20:5]
    assert list(part) == ["client-10", "client-15"]
    assert part.index("client-15") == 1
    assert "client-11" not in part


def test_a_name_is_found_by_arithmetic_among_ten_million() -> None:
    names = NumberedNames(10_000_000)
    assert names.index("client-9999999") == 9_999_999
    assert names[-1] == "client-9999999"
    assert not any(word in names for word in ("client-1", "client-10000000", "client-00000²1", "worker-0000001", 1))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="'client-3' is none of the 3 names"):
        NumberedNames(3).index("client-3")
    with pytest.raises(IndexError):
        NumberedNames(3)[3]


def test_the_docstring_speaks_true() -> None:
    assert doctest.testmod(fl_core.names).failed == 0
