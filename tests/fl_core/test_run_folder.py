"""What a run finds in its store by name alone."""

import pytest

from fl_core.run_folder import Run, plan_key
from fl_core.store import DictStore
from tests.jobs import tiny_job


@pytest.mark.parametrize("plans", [0, 1, 2, 3, 4, 5, 16, 17, 31])
def test_the_last_plan_is_found_without_a_list(plans: int) -> None:
    store = DictStore({})
    for round in range(1, plans + 1):
        store.put(plan_key(round), b"{}")
    store.list = None  # type: ignore[assignment,method-assign]
    assert Run("one", tiny_job(), store).last_plan() == max(plans, 1)
