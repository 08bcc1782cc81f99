"""What a compiled pipeline fixes: fewer rounds and other options fit, everything that would need other tasks is refused."""

import json

import pytest

from fl_core.compiled import check_fixed, fixed_in
from fl_core.errors import InputError
from tests.jobs import tiny_job

FIXED = json.dumps(fixed_in(tiny_job()))
OTHER_SETTINGS = (
    "federation has other 'resources', 'kubernetes' or 'images' settings than this pipeline was compiled with: compile the job again with `fl compile`."
)


@pytest.mark.parametrize("override", ["rounds=1", "seed=9", "strategy.local_epochs=3", "stop_when={accuracy: 0.9}", "quorum=1.0", "retries=0"])
def test_what_needs_no_other_tasks_fits(override: str) -> None:
    check_fixed(tiny_job(override), FIXED)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("rounds=4", "rounds is 4; this pipeline was compiled for at most 3: lower it, or compile the job again with `fl compile`."),
        ("federation.workers=1", "federation.workers is worker-0; this pipeline was compiled for worker-0, worker-1: compile the job again with `fl compile`."),
        (
            "federation.workers=[{name: worker-0, resources: {cpu: 2}}, {name: worker-1}]",
            OTHER_SETTINGS,
        ),
        (
            "federation.server.kubernetes.node_selector={site: a}",
            OTHER_SETTINGS,
        ),
        (
            "federation.images.registry=registry.example",
            OTHER_SETTINGS,
        ),
        ("evaluate.every_rounds=2", "evaluate.every_rounds is 2; this pipeline was compiled for 1: compile the job again with `fl compile`."),
    ],
)
def test_what_needs_other_tasks_is_refused(override: str, sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        check_fixed(tiny_job(override), FIXED)
    assert str(refused.value) == sentence


def test_a_strategy_with_other_trips_is_refused() -> None:
    fixed = json.dumps({**fixed_in(tiny_job()), "exchanges": ["ask", "answer"]})
    with pytest.raises(InputError, match=r"strategy.name is 'fed_avg', whose exchanges are train; this pipeline was compiled for ask, answer: compile"):
        check_fixed(tiny_job(), fixed)


def test_nothing_is_fixed_where_nothing_was_compiled() -> None:
    check_fixed(tiny_job("rounds=1000"), "")
