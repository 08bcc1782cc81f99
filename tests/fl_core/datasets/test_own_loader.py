from pathlib import Path

import pytest

from fl_core.data import open_data
from fl_core.errors import InputError
from fl_core.job import Job, load_job

EXAMPLE = Path(__file__).parents[3] / "examples" / "my_data.py"


def job_with(folder: Path, options: str) -> Job:
    (folder / "my_data.py").write_text(EXAMPLE.read_text())
    (folder / "job.yaml").write_text(f"{{format: 1, name: test, program: digits, rounds: 1, data: {{name: 'my_data.py:sites', {options}}}}}")
    return load_job(folder / "job.yaml")


def test_a_loader_of_ones_own_is_called_like_a_built_in_one(tmp_path: Path) -> None:
    job = job_with(tmp_path, "sites: 11, examples: 4")
    data = open_data(job, job.data)
    assert data.clients[10] == "site-10"
    assert data.open("site-03").x.shape == (4, 2)
    assert (data.open("site-03").x == data.open("site-03").x).all()
    assert (data.open("site-03").x != data.open("site-04").x).any()


def test_its_options_are_checked_by_their_types(tmp_path: Path) -> None:
    job = job_with(tmp_path, "drift: much")
    with pytest.raises(InputError, match=r"data.drift is 'much'; it is a number"):
        open_data(job, job.data)
