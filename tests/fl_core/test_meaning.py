from fl_core.meaning import NAMES_MAX, describe_meaning, find_other_meanings, find_untold
from fl_core.types import Meaning


def test_a_card_says_what_is_known() -> None:
    assert describe_meaning(Meaning()) == {}
    assert describe_meaning(Meaning(["age"], ["no", "yes"], "f00")) == {"features": ["age"], "classes": ["no", "yes"], "vocabulary": "f00"}


def test_more_names_than_a_card_holds_are_compared_by_their_digest() -> None:
    many, others = ([f"{letter}{number}" for number in range(NAMES_MAX + 1)] for letter in "ab")
    cards = {"north": describe_meaning(Meaning(many)), "south": describe_meaning(Meaning(list(many))), "east": describe_meaning(Meaning(others))}
    assert len(cards["north"]["features"]) == 1
    (sentence,) = find_other_meanings(cards)
    assert sentence.startswith("Feature 1 of the worker 'east' is 'the first of 1001 with sha256 ")


def test_swapped_features_are_one_sentence_for_each_worker_unlike_most() -> None:
    usual = {"features": ["age", "pressure", "weight"]}
    assert find_other_meanings({"a": {"features": ["pressure", "age", "weight"]}, "b": usual, "c": usual}) == [
        "Feature 1 of the worker 'a' is 'pressure', but that of 'b' is 'age'; name the columns alike, and list them in one order as data.features."
    ]


def test_a_label_that_means_something_else_names_the_list_that_makes_it_right() -> None:
    cards = {"a": {"classes": ["benign", "malignant"]}, "b": {"classes": ["malignant", "n/a"]}}
    assert find_other_meanings(cards) == [
        "Label 0 of the worker 'b' is 'malignant', but that of 'a' is 'benign'; give all workers the same data.classes: [benign, malignant, \"n/a\"]."
    ]
    many = {"a": {"classes": [str(number) for number in range(30)]}, "b": {"classes": ["1"]}}
    assert find_other_meanings(many)[0].endswith("give all workers the same data.classes, one list of all.")


def test_a_worker_may_lack_the_last_classes_because_the_numbers_stay() -> None:
    assert find_other_meanings({"a": {"classes": ["benign"]}, "b": {"classes": ["benign", "malignant"]}}) == []


def test_two_that_fit_a_shorter_third_are_compared_with_each_other() -> None:
    (sentence,) = find_other_meanings({"a": {"classes": ["x"]}, "b": {"classes": ["x", "y"]}, "c": {"classes": ["x", "z"]}})
    assert sentence.startswith("Label 1 of the worker 'c' is 'z', but that of 'b' is 'y'")


def test_items_that_are_numbered_by_another_list_name_the_option() -> None:
    assert find_other_meanings({"a": {"vocabulary": "1"}, "b": {"vocabulary": "2"}}) == [
        "The worker 'b' numbers its items by another list than 'a'; give all workers the same file as data.items_path."
    ]


def test_cards_of_before_are_left_aside_and_said_so_where_others_say_more() -> None:
    old, new = {"worker": "a"}, {"features": ["age"], "classes": ["no", "yes"]}
    assert find_other_meanings({"a": old, "b": new, "c": new}) == []
    assert find_untold({"a": old, "b": old}) == []
    assert find_untold({"a": old, "b": new}) == [
        "The card of the worker 'a' names no features, so that nobody compared them.",
        "The card of the worker 'a' names no classes, so that nobody compared them.",
    ]
