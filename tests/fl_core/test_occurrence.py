"""An occurrence of a schedule: its job, its number, and whether it has anything to train on."""

import pytest

from fl_core import registry, runner
from fl_core.errors import InputError
from fl_core.job import parse_job
from fl_core.occurrence import scheduled
from fl_core.run_folder import plan_key
from fl_core.store import DictStore
from tests.fl_core.published import JOB, published, small_job, trained

NEW_DATA = ("schedule.only_with_new_data=true", "start_from='models:small/production?'")


def test_an_occurrence_starts_from_production_and_gets_its_number() -> None:
    job = small_job("schedule.set=['seed={occurrence}', 'name=month-{occurrence}']")
    one = scheduled(job, 3)
    assert (one.seed, one.name, one.start_from) == (3, "month-3", "models:small/production?")
    assert scheduled(small_job("start_from=models:other/2"), 1).start_from == "models:other/2"


def test_an_occurrence_needs_a_gate_and_no_start_of_its_own() -> None:
    with pytest.raises(InputError, match="The job has no 'publish' section"):
        scheduled(parse_job(JOB.replace(", publish: {metric: accuracy}", "")), 1)
    with pytest.raises(InputError, match="The job has a start_from, but an occurrence starts from production"):
        scheduled(small_job("start_from=model.safetensors"), 1)


def test_data_that_production_has_seen_are_skipped_where_the_job_says_so() -> None:
    root = DictStore({})
    assert published(root, "a", small_job(*NEW_DATA), fingerprint="january")["decision"] == "published"
    again = trained(root, "b", small_job(*NEW_DATA), fingerprint="january")
    outcome = runner.finish(again, {"seconds": 1.0})["published"]
    assert outcome == {"model": "small", "version": None, "decision": "skipped", "why": "the data are those that small/1 was trained on."}
    assert again.record(plan_key(1))["why"] == "nothing_new"
    assert published(root, "c", small_job(*NEW_DATA), fingerprint="february")["decision"] == "published"
    assert registry.numbers(root, "small") == [1, 2]


def test_without_that_word_the_same_data_are_trained_on_again() -> None:
    root = DictStore({})
    published(root, "a", fingerprint="january")
    assert published(root, "b", small_job(NEW_DATA[1]), fingerprint="january")["version"] == 2
