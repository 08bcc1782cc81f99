"""Published figures: which run counts and what the tables say, by hand; every job file trains; a run goes on where its budget ended."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks import published, published_page
from benchmarks.experiments import TABLES, Row, Table, Trial
from benchmarks.outcome import Outcome, best_of, load_outcomes, outcome_of, save_outcomes
from fl_core import run
from fl_core.data import open_data
from fl_core.errors import InputError
from fl_core.job import load_job
from fl_core.pool import Pool
from fl_core.strategy import load_strategy
from fl_core.types import NOTHING, Client, Correction, LocalWork, RoundState, Trained, Weights
from tests.conftest import ROOT
from tests.fl_core.harness import three
from tests.jobs import tiny_job

TINY = {
    "mnist": ("data={name: benchmarks.data:images, clients: 3, examples: 24}", "selection.clients_per_round=2"),
    "synthetic.py:synthetic": ("data.clients=3", "selection.clients_per_round=2", "strategy.local_epochs=2"),
}


def towards(*accuracies: float, rounds_max: int = 20, digest: str | None = None) -> Outcome:
    """A run with target 0.9 that was measured after every round."""
    return Outcome(1, len(accuracies), rounds_max, 0.9, list(enumerate(accuracies, 1)), digest)


def without_target(*accuracies: float, rounds_max: int, digest: str | None = "d") -> Outcome:
    return Outcome(1, len(accuracies), rounds_max, None, list(enumerate(accuracies, 1)), digest)


def test_the_target_is_reached_in_the_first_round_that_measures_it() -> None:
    assert towards(0.5, 0.91, 0.89, 0.95).reached == 2
    assert towards(0.5, 0.89).reached is None
    assert without_target(0.95, rounds_max=1).reached is None


def test_a_run_settles_at_the_mean_of_its_last_tenth_and_only_once_it_is_done() -> None:
    done = without_target(*[0.5] * 18, 0.7, 0.9, rounds_max=20)
    assert done.settled == pytest.approx(0.8)
    assert without_target(0.9, rounds_max=20).settled is None
    assert without_target(0.9, rounds_max=20).best == 0.9


def test_of_a_grid_the_fewest_rounds_count_and_then_the_highest_accuracy() -> None:
    assert best_of({"a": towards(0.5, 0.9), "b": towards(0.9), "c": towards(0.89, 0.89)}) == "b"
    assert best_of({"a": towards(0.5), "b": towards(0.6)}) == "b"
    assert best_of({"a": without_target(0.9, 0.5, rounds_max=2), "b": without_target(0.7, 0.7, rounds_max=2)}) == "b"
    assert best_of({}) is None


def test_outcomes_are_read_back_as_they_were_stored(tmp_path: Path) -> None:
    outcomes = {"b": towards(0.5, 0.9, digest="d"), "a": without_target(0.1, rounds_max=5)}
    save_outcomes(tmp_path / "results" / "published.json", outcomes)
    assert load_outcomes(tmp_path / "results" / "published.json") == outcomes
    assert load_outcomes(tmp_path / "nowhere.json") == {}


def test_a_table_says_the_papers_figure_ours_and_how_much_was_run() -> None:
    grid = Row("grid", "job", (Trial("grid-1", (), "optimizer 1"), Trial("grid-2", (), "optimizer 2")))
    table = Table("t", "Somebody", (Row("one", "job", (Trial("one"),), paper=20), Row("none", "job", (Trial("none"),), paper=7), grid))
    outcomes = {"one": towards(0.5, 0.9, digest="d"), "grid-2": without_target(0.5, rounds_max=4, digest=None)}
    assert published_page.table_text(table, outcomes).splitlines()[2:] == [
        "| `one` | 20 rounds | 2 rounds to 0.9 |  | 1 | 2 of at most 20 rounds |",
        "| `none` | 7 rounds | not begun | | | |",
        "| `grid` |  | best so far 0.5000 | optimizer 2 | 1 | 1 of at most 4 rounds, not finished; 0 of 2 runs of the grid finished |",
    ]
    assert published_page.grid_text(table, outcomes).splitlines()[2:] == [
        "| `grid` | optimizer 1 | not begun |",
        "| `grid` | optimizer 2 | best so far 0.5000 |",
    ]


def test_some_of_a_curve_is_shown_and_always_its_last_round() -> None:
    assert published_page.curve_text(towards(0.1, 0.2, 0.3, 0.4, 0.5), steps=3) == "1: 0.1000, 3: 0.3000, 5: 0.5000"
    assert published_page.curve_text(towards(0.1, 0.2), steps=3) == "1: 0.1000, 2: 0.2000"


def test_the_page_has_a_place_for_each_table_and_keeps_what_lies_around_it() -> None:
    page = published.PAGE.read_text()
    once = published_page.with_tables(page, {"mnist_2nn_iid": towards(0.9, digest="d")})
    assert "| `mnist_2nn_iid` | 87 rounds | 1 rounds to 0.9 |" in once
    assert published_page.with_tables(once, load_outcomes(published.RESULTS)) == published_page.with_tables(page, load_outcomes(published.RESULTS))
    assert once.splitlines()[0] == page.splitlines()[0]


def test_the_page_has_every_row_of_every_table_as_far_as_it_was_run() -> None:
    page = published.PAGE.read_text()
    assert page == published_page.with_tables(page, load_outcomes(published.RESULTS))
    for table in TABLES:
        _, _, rest = page.partition(f"<!-- {table.name}: written by fl bench published -->")
        lines = rest.partition(f"<!-- end of {table.name} -->")[0].splitlines()
        assert [line.split("`")[1] for line in lines if line.startswith("| `")][1 : len(table.rows) + 1] == [row.name for row in table.rows]


def test_figures_compare_algorithms_only_where_both_sides_were_run() -> None:
    sides = {"skew_scaffold_5-0.1": towards(0.9), "skew_fed_avg_5-0.1": towards(0.5, 0.6, 0.7, 0.9)}
    assert published.figures_of(sides) == {"skew_scaffold_5_rounds": 1, "skew_fed_avg_5_rounds": 4}
    assert published.ratios_of(sides) == {"scaffold_to_fed_avg_5": 0.25}
    assert published.ratios_of({"skew_scaffold_5-0.1": towards(0.9)}) == {}


def test_one_table_or_one_row_is_chosen_by_name_and_no_other() -> None:
    assert [table.name for table in published.chosen("scaffold")] == ["scaffold"]
    assert [row.name for table in published.chosen("mnist_cnn_shards") for row in table.rows] == ["mnist_cnn_shards"]
    assert published.chosen(None) == list(TABLES)
    with pytest.raises(InputError, match="did you mean 'mnist_cnn_iid'"):
        published.chosen("mnist_cnn_idd")


def test_every_trial_is_a_job_of_its_own() -> None:
    trials = [(row, trial) for table in TABLES for row in table.rows for trial in row.trials]
    digests = {published.job_of(row, trial).digest for row, trial in trials}
    assert len({trial.name for _, trial in trials}) == len(trials) == len(digests)
    assert {row.job for row, _ in trials} == {path.stem for path in published.JOBS.glob("*.yaml")}


def test_every_job_file_trains(tmp_path: Path, pool: Pool) -> None:
    firsts = {row.job: row for table in TABLES for row in reversed(table.rows)}
    for name, row in firsts.items():
        job = load_job(published.JOBS / f"{name}.yaml")
        tiny = published.job_of(row, row.trials[0], *TINY[job.data.name], "rounds=1", "evaluate.every_rounds=1")
        found = published.go_on(tiny, tmp_path / name, published.Budget(1), pool)
        assert found is not None
        assert (found.rounds, found.finished, len(found.accuracies)) == (1, True, 1), name


def test_a_run_goes_on_where_the_budget_ended_and_ends_in_the_same_bits(tmp_path: Path, pool: Pool) -> None:
    job = tiny_job()
    found = [published.go_on(job, tmp_path / "parts", published.Budget(1), pool) for _ in range(3)]
    assert [one and one.rounds for one in found] == [1, 2, 3]
    whole = run(job, out=tmp_path / "whole", pool=pool)
    assert found[-1] == outcome_of(whole.run)
    assert found[-1] is not None
    assert found[-1].digest == whole.digest
    assert published.go_on(tiny_job("rounds=2"), tmp_path / "new", published.Budget(0), pool) is None, "an empty budget only reads"
    with pytest.raises(InputError, match="another job"):
        published.go_on(tiny_job("seed=6"), tmp_path / "whole", published.Budget(1), pool)


def test_a_budget_is_spent_after_its_last_round_unless_the_job_ends_there() -> None:
    budget = published.Budget(2)
    budget.spend(1, 5, 0.5)
    with pytest.raises(published.Spent):
        budget.spend(2, 5, None)
    published.Budget(1).spend(5, 5, 0.5)


@pytest.mark.parametrize("words", [["published", "--only", "nothing"], ["published", "--rounds-at-most", "-1"], ["2nn", "--only", "fed_avg"]])
def test_a_wrong_option_is_one_sentence_with_exit_2(words: list[str]) -> None:
    done = subprocess.run([ROOT / ".venv" / "bin" / "fl", "bench", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_late_clients_do_a_part_of_their_epochs_and_the_same_part_when_asked_again() -> None:
    done: list[int] = []

    def fit(weights: Weights, work: LocalWork, correction: Correction | None = None) -> Trained:
        done.append(work.epochs)
        return Trained(weights, 1, 1)

    def epochs(stragglers: float, seeds: range) -> list[int]:
        done.clear()
        job = load_job(published.JOBS / "synthetic_fed_prox.yaml", [f"strategy.stragglers={stragglers}", "strategy.local_epochs=4"])
        (exchange,) = load_strategy(job).exchanges
        for seed in seeds:
            exchange.at_worker(Client("a", 1, fit, seed=seed), RoundState(1, three(0, 0, 0)), NOTHING, NOTHING)
        return list(done)

    assert epochs(0.0, range(3)) == [4, 4, 4]
    assert set(epochs(1.0, range(50))) == {1, 2, 3, 4}
    assert epochs(0.9, range(5)) == epochs(0.9, range(5))


def test_synthetic_clients_differ_unless_the_set_is_iid_and_a_tenth_of_each_is_the_test_set() -> None:
    def means(*overrides: str) -> np.ndarray:
        job = load_job(published.JOBS / "synthetic_fed_avg.yaml", overrides)
        data = open_data(job, job.data)
        test = data.test()
        assert test is not None
        assert all(len(data.open(client)) == size for client, size in zip(data.clients, data.sizes, strict=True))
        assert len(test) == pytest.approx(sum(data.sizes) / 9, abs=len(data.clients))
        return np.array([data.open(client).x.mean() for client in data.clients])

    assert len(means()) == 30
    assert means("data.iid=true").std() < 0.1 < 0.5 < means().std()
