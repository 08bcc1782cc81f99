import doctest
import json

import pytest

import fl_core.comparison
from fl_core.comparison import Target, as_record, best, bytes_to_target, compare, final, group, mean_of, ranked, rounds_to_target, to_target
from fl_core.errors import InputError
from tests.fl_core.outcomes import a_combination, an_outcome

AVG = a_combination("fed_avg", an_outcome([0.1, 0.5, 0.6, 0.7], "seed=1"), an_outcome([0.1, 0.6, 0.9, 0.8], "seed=2"))
SCAFFOLD = a_combination("scaffold", an_outcome([0.1, 0.8, 0.9, 0.9], "seed=1"), an_outcome([0.1, 0.9, 1.0, 1.0], "seed=2"))


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(fl_core.comparison).failed == 0


def test_a_final_metric_is_the_mean_over_the_seeds_with_its_sample_deviation() -> None:
    value = final(AVG, "accuracy")
    assert value is not None
    assert value.mean == pytest.approx(0.75)
    assert value.deviation == pytest.approx(0.0707106781)
    assert (value.low, value.high, value.count) == (0.7, 0.8, 2)


def test_the_best_round_is_sought_in_each_run_by_itself() -> None:
    found = best(compare([AVG]), AVG)
    assert found is not None
    assert (found[0].mean, found[1].mean) == (pytest.approx(0.8), 2.5)


def test_rounds_and_bytes_to_a_target_count_until_its_first_round() -> None:
    comparison = compare([AVG, SCAFFOLD], Target("accuracy", 0.9))
    assert [rounds_to_target(comparison, outcome) for outcome in (*AVG.outcomes, *SCAFFOLD.outcomes)] == [None, 2.0, 2.0, 1.0]
    reached, sent = to_target(comparison, AVG), bytes_to_target(comparison, SCAFFOLD)
    assert reached is not None
    assert (reached.mean, reached.deviation, reached.count) == (2.0, None, 1)
    assert sent is not None
    assert sent.mean == (400 + 200) / 2  # two clients of 100 bytes a round


def test_simulated_seconds_are_counted_in_all_and_to_the_target() -> None:
    timed = a_combination("timed", an_outcome([0.1, 0.5, 0.9, 0.9], simulated=30.0))
    record, other = as_record(compare([timed, SCAFFOLD], Target("accuracy", 0.9)))["combinations"]
    assert (record["simulated_seconds"]["mean"], record["simulated_seconds_to_target"]["mean"], record["runs"][0]["simulated_seconds"]) == (90, 60, 90)
    assert (other["simulated_seconds"], other["simulated_seconds_to_target"], other["runs"][0]["simulated_seconds"]) == (None, None, None)


def test_a_loss_is_a_target_from_above() -> None:
    comparison = compare([AVG], Target("loss", 0.5))
    assert rounds_to_target(comparison, AVG.outcomes[0]) == 2.0
    assert comparison.metrics[0] == "loss"


def test_what_the_job_stops_at_is_what_it_is_judged_by() -> None:
    assert compare([AVG]).metrics == ["accuracy", "loss"]
    assert compare([a_combination("x", an_outcome([0.1, 0.2], "stop_when={loss: 0.1}"))]).metrics == ["loss", "accuracy"]


def test_the_ranking_begins_with_the_best() -> None:
    assert [one.name for _, one in ranked(compare([AVG, SCAFFOLD]))] == ["scaffold", "fed_avg"]
    assert [one.name for _, one in ranked(compare([AVG, SCAFFOLD], Target("loss", 1)))] == ["fed_avg", "scaffold"]


def test_only_finished_runs_count() -> None:
    broken = a_combination("fed_avg", an_outcome([0.1, 0.5]), an_outcome([0.1], "seed=1", status="failed", why="Too few."))
    value = final(broken, "accuracy")
    assert value is not None
    assert (value.mean, value.count) == (0.5, 1)
    record = as_record(compare([broken]))["combinations"][0]
    assert (record["finished"], record["failed"]) == (1, 1)
    assert record["runs"][1]["why"] == "Too few."


def test_a_combination_of_which_nothing_finished_has_no_figures() -> None:
    dead = a_combination("dead", an_outcome([], status="failed", why="Too few."))
    comparison = compare([dead], Target("accuracy", 0.9))
    assert (final(dead, "accuracy"), best(comparison, dead), to_target(comparison, dead), ranked(comparison)) == (None, None, None, [])


def test_an_unknown_target_is_refused_with_what_is_meant() -> None:
    with pytest.raises(InputError, match="--target accurcy is nothing that was measured; did you mean 'accuracy'"):
        compare([AVG], Target("accurcy", 0.9))


def test_a_target_without_a_direction_is_refused() -> None:
    one = an_outcome([0.1, 0.2])
    one.table[-1]["metrics"]["odd"] = 3.0
    with pytest.raises(InputError, match="Nobody said whether 'odd' is better higher or lower"):
        compare([a_combination("x", one)], Target("odd", 1.0))


def test_runs_that_differ_in_their_seed_alone_are_one_combination_in_the_seeds_order() -> None:
    (one,) = group([an_outcome([0.1], "seed=10"), an_outcome([0.1], "seed=9")])
    assert [outcome.job.seed for outcome in one.outcomes] == [9, 10]
    assert one.name == "wards"
    assert one.differs == {}


def test_runs_are_called_by_what_sets_them_apart() -> None:
    jobs = [("strategy.name=fed_avg", "rounds=2"), ("strategy.name=scaffold", "rounds=2"), ("strategy.name=scaffold", "rounds=3")]
    combinations = group(an_outcome([0.1], *job) for job in jobs)
    assert [one.name for one in combinations] == ["fed_avg · rounds 2", "scaffold · rounds 2", "scaffold · rounds 3"]


def test_an_option_that_only_some_jobs_have_is_named_where_it_is() -> None:
    combinations = group([an_outcome([0.1], "strategy={name: fed_avg}"), an_outcome([0.1], "strategy={name: fed_avg, batch_size: 5}")])
    assert [dict(one.values) for one in combinations] == [{}, {"strategy.batch_size": "5"}]


def test_jobs_that_differ_in_much_are_called_by_little_and_keep_the_rest() -> None:
    jobs = [("name=a", "rounds=1", "quorum=0.5", "retries=0"), ("name=b", "rounds=2", "quorum=0.6", "retries=1")]
    combinations = group(an_outcome([0.1], *job) for job in jobs)
    assert [dict(each.values) for each in combinations] == [{"name": "a"}, {"name": "b"}]
    assert set(combinations[0].differs) == {"name", "rounds", "quorum", "retries"}
    assert compare(combinations).title == "a and b"


def test_nothing_known_has_no_mean() -> None:
    assert mean_of([None, None]) is None


def test_the_record_is_json_with_every_figure() -> None:
    record = json.loads(json.dumps(as_record(compare([AVG, SCAFFOLD], Target("accuracy", 0.9)))))
    assert (record["metric"], record["target"], record["keys"]) == ("accuracy", {"accuracy": 0.9}, ["strategy.name"])
    second = record["combinations"][1]
    assert second["seeds"] == [1, 2]
    assert second["metrics"]["accuracy"]["mean"] == pytest.approx(0.95)
    assert (second["examples"]["mean"], second["bytes_sent"]["mean"], second["bytes_received"]["mean"]) == (150, 600, 3 * 3 * 200)
    assert (second["rounds_to_target"]["mean"], second["bytes_to_target"]["mean"], second["seconds"]["mean"]) == (1.5, 300, 6.0)


def test_bytes_that_nobody_can_tell_are_none() -> None:
    record = as_record(compare([a_combination("mine", an_outcome([0.1, 0.2], sent=None))]))["combinations"][0]
    assert (record["bytes_sent"], record["bytes_received"]) == (None, None)
