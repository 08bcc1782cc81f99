"""The benchmarks' own arithmetic, and that each says what it claims; nothing here asserts a timing."""

import argparse
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks import aggregate, catalogue, data, everything, picture
from benchmarks.harness import Goal, cpu_seconds, in_turn, peak_bytes, processes_below, ratio, spread
from fl_core.errors import InputError
from pipelines.commands import bench


def result(name: str, **ratios: float) -> dict[str, object]:
    return {"name": name, "machine": {}, "settings": {}, "ratios": ratios, "goals": {}, "figures": {"tasks_per_second": 900.0}}


def test_the_help_names_every_benchmark() -> None:
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    (told,) = (action.help for action in parser._actions if action.dest == "name")
    assert set(str(told).split("; all:")[0].split(", ")) == {*catalogue.NAMES, *catalogue.LONG}


def test_the_ratio_of_pairs_is_not_moved_by_one_disturbed_pair() -> None:
    assert ratio([2.0, 2.0, 200.0], [1.0, 1.0, 1.0]) == 2.0
    assert ratio([2.0, 40.0, 2.0], [1.0, 20.0, 1.0]) == 2.0, "what disturbs both sides of a pair leaves its ratio"


def test_things_are_measured_one_after_the_other_and_the_first_turn_does_not_count() -> None:
    order: list[str] = []

    def call(name: str) -> float:
        order.append(name)
        return float(len(order))

    assert in_turn({"a": lambda: call("a"), "b": lambda: call("b")}, pairs=2) == {"a": [3.0, 5.0], "b": [4.0, 6.0]}
    assert order == ["a", "b"] * 3


def test_the_spread_is_that_of_the_middle_half() -> None:
    assert spread([1.0, 1.0, 1.0, 1.0, 9.0]) >= 0
    assert spread([1.0, 2.0, 3.0]) == 1.0


def test_a_goal_is_a_least_or_a_most() -> None:
    assert Goal(least=0.9).met(0.9)
    assert not Goal(least=0.9).met(0.89)
    assert Goal(most=1.2).met(1.2)
    assert (str(Goal(least=0.9)), str(Goal(most=1.2))) == (">= 0.9", "<= 1.2")


def test_cpu_time_of_this_process_grows_with_work_and_one_that_is_gone_counts_as_nothing() -> None:
    before = cpu_seconds([os.getpid()])
    start = time.process_time()
    while time.process_time() - start < 0.02:
        pass
    assert cpu_seconds([os.getpid()]) > before
    assert cpu_seconds([2**22 + 1]) == 0
    assert os.getpid() in processes_below(os.getpid())
    assert peak_bytes([os.getpid()]) > 0


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_every_benchmark_has_a_claim_and_goals(name: str) -> None:
    one = catalogue.load(name)
    assert one.claim.endswith(".")
    assert one.goals


def test_an_unknown_benchmark_is_refused_with_the_way_out() -> None:
    with pytest.raises(InputError, match="did you mean"):
        catalogue.load("2n")


def test_the_table_says_what_was_missed_and_the_page_keeps_what_lies_around_it() -> None:
    rows = everything.table([result("tasks")])
    assert "| tasks_per_second | 900 | >= 1000 | **missed** |" in rows
    page = f"before {everything.BEGIN} old {everything.END} after"
    assert everything.with_table(page, "new") == f"before {everything.BEGIN}\n\nnew\n\n{everything.END} after"


def test_a_change_of_more_than_a_tenth_is_told() -> None:
    assert everything.changed(result("gru", to_limit=1.0), result("gru", to_limit=0.95)) == []
    assert everything.changed(result("gru", to_limit=1.0), result("gru", to_limit=0.8)) == ["gru: to_limit was 1, is 0.8"]
    assert everything.changed(None, result("gru", to_limit=0.8)) == []


def test_the_picture_is_one_image_with_a_bar_for_each_goal() -> None:
    drawn = picture.picture(result("tasks"), everything.goals("tasks"))
    assert drawn.startswith("<svg")
    assert drawn.count("<rect") == 1


def test_the_page_has_a_place_for_the_table() -> None:
    page = everything.PAGE.read_text()
    assert page.index(everything.BEGIN) < page.index(everything.END)


def test_data_of_many_clients_cost_nothing_until_one_is_opened() -> None:
    many = data.points(1_000_000, examples=3)
    assert len(many.clients) == len(many.sizes) == 1_000_000
    assert many.open(many.clients[999_999]).x.shape == (3, 60)
    assert (many.open("client-000007").x == many.open("client-000007").x).all()


def test_images_have_the_shape_of_mnist_with_and_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "MNIST", tmp_path / "nowhere")
    found = data.images(2, 5)
    assert found.open(found.clients[1]).x.shape == (5, 784)


def test_a_small_aggregate_gives_its_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregate, "PARAMETERS", 1000)
    found = aggregate.measure(quick=True)
    assert set(found.ratios) == {"to_saxpy", "to_saxpy_from_files"}
    assert json.dumps(dict(found.figures))


@pytest.mark.parametrize(
    ("error", "why"),
    [(subprocess.CalledProcessError(3, "fl"), "it ended with 3"), (subprocess.TimeoutExpired("fl", 1), "it took more than 900 s")],
)
def test_a_benchmark_that_gives_nothing_is_a_row_with_its_reason(monkeypatch: pytest.MonkeyPatch, error: Exception, why: str) -> None:
    def run(*words: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", run)
    assert f"| `fl bench gru` | to_limit | - | >= 0.9 | {why} |" in everything.table([everything._measure("gru", quick=True)])
