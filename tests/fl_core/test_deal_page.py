from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fl_core.deal_page import count_labels, render_deal, write_deal
from fl_core.errors import InputError
from fl_core.job import Job, parse_job
from tests.jobs import tiny_job

CODE = """
import numpy as np
from fl_core.names import EqualSizes, NumberedNames
from fl_core.types import Examples, FederatedData
def many(clients: int):
    names = NumberedNames(clients)
    return FederatedData(names, EqualSizes(2, clients), lambda name: Examples(np.zeros((2, 1), np.float32), np.array([0, names.index(name) % 2])))
"""


def many(clients: int) -> Job:
    text = f"{{format: 1, name: a, program: digits, rounds: 1, data: {{name: 'my.py:many', clients: {clients}}}}}"
    return parse_job(text, code={"my.py": CODE})


def test_every_client_and_label_has_its_place() -> None:
    text, counts = render_deal(tiny_job())
    assert counts == {"clients": 6, "shown": 6, "examples": 1438}
    assert all(f"client-{number}" in text for number in range(6))
    assert 'data-columns="0|1|2|3|4|5|6|7|8|9"' in text


def test_shades_are_shares_of_the_client() -> None:
    text, _ = render_deal(many(2))
    assert 'data-cells="50"' in text  # client-0 holds label 0 alone
    assert 'data-cells="33"' in text  # client-1 has half of each


def test_of_many_clients_some_are_shown_and_the_page_says_so() -> None:
    text, counts = render_deal(many(5000))
    assert counts == {"clients": 5000, "shown": 100, "examples": 10_000}
    assert "100 of them are shown, evenly chosen" in text


@pytest.mark.parametrize(
    ("labels", "columns"),
    [([np.array([3, 1]), np.array([1])], 2), ([np.arange(65), np.array([7])], 20), ([np.array([0.5, 1.0]), np.array([0.25])], 20)],
)
def test_many_or_measured_labels_are_counted_in_ranges_and_none_is_lost(labels: Any, columns: int) -> None:
    names, counts = count_labels(labels)
    assert len(names) == columns
    assert counts.sum(axis=1).tolist() == [len(own) for own in labels]


def test_a_page_is_not_written_over_another(tmp_path: Path) -> None:
    path = tmp_path / "deal.html"
    write_deal(many(2), path)
    with pytest.raises(InputError, match="exists already; name another file"):
        write_deal(many(2), path)
