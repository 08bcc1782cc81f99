from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from fl_core.builder import build
from fl_core.errors import InputError, QuorumError


def house(rooms: Annotated[int, Field(ge=1)], roof: Literal["flat", "steep"] = "flat", doors: list[str] | None = None, *, land: str = "") -> tuple[Any, ...]:
    if rooms > 9:
        raise ValueError("rooms is 10; nobody cleans so many")
    if rooms == 9:
        raise RuntimeError("the builder\nfell")
    if rooms == 8:
        raise QuorumError("Too few builders.")
    return rooms, roof, doors, land


def built(**options: Any) -> Any:
    return build(house, "data", "house", options, {"land": "north"}, also=("partition",))


def test_options_and_what_the_federation_hands_in_reach_the_builder() -> None:
    assert built(rooms=3, roof="steep", doors=["a"]) == (3, "steep", ["a"], "north")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"room": 3}, "data.room is not an option of 'house'; did you mean 'rooms'?"),
        ({"rooms": 3, "partitions": 1}, "data.partitions is not an option of 'house'; did you mean 'partition'?"),
        ({"rooms": 3, "land": "south"}, "data.land is not an option of 'house'; known are doors, partition, roof, rooms."),
        ({}, "data.rooms is missing; 'house' needs it."),
        ({"rooms": 0}, "data.rooms is 0; it is at least 1."),
        ({"rooms": "many"}, "data.rooms is 'many'; it is a whole number."),
        ({"rooms": None}, "data.rooms is empty; it is a whole number."),
        ({"rooms": 3, "roof": "stepe"}, "data.roof is 'stepe'; did you mean 'steep'?"),
        ({"rooms": 3, "roof": "green"}, "data.roof is 'green'; it is 'flat' or 'steep'."),
        ({"rooms": 3, "doors": "a"}, "data.doors is 'a'; it is a list."),
        ({"rooms": 3, "doors": ["a", 5]}, "data.doors.1 is 5; it is text, so put it in quotes."),
        ({"rooms": [1] * 99}, "data.rooms is [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1…; it is a whole number."),
        ({"rooms": 10}, "data.rooms is 10; nobody cleans so many."),
        ({"rooms": 9}, "The data 'house' cannot be built: RuntimeError: the builder fell."),
    ],
)
def test_what_is_wrong_is_one_sentence_with_the_key_and_the_value(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        built(**options)
    assert str(caught.value) == sentence


def test_an_error_of_the_federations_own_passes() -> None:
    with pytest.raises(QuorumError):
        built(rooms=8)


def test_a_builder_that_takes_any_option_takes_any() -> None:
    def anything(**options: int) -> dict[str, int]:
        return options

    assert build(anything, "data", "anything", {"a": 1}, {}) == {"a": 1}
