"""How often a training process opens a job's data: its loader leaves a file at each opening."""

from pathlib import Path

import pytest

from fl_core import run, runner
from fl_core.job import Job, parse_job
from fl_core.pool import Call, Pool

LOADER = """
import time
from pathlib import Path
import numpy as np
from fl_core.types import CentralData, Examples

def counted(folder: str) -> CentralData:
    Path(folder, str(time.time_ns())).touch()
    half = Examples(np.zeros((20, 64), np.float32), np.arange(20) % 10)
    return CentralData(half, half)
"""


def counted_job(folder: Path, workers: int = 2) -> Job:
    folder.mkdir(exist_ok=True)
    text = f"""{{format: 1, name: counted, program: digits, rounds: 2, federation: {{workers: {workers}}}, strategy: fed_avg,
      optimizer: {{name: SGD, learning_rate: 0.1}},
      data: {{name: "loader.py:counted", folder: "{folder}", partition: {{name: iid, clients: 4}}}}}}"""
    return parse_job(text, code={"loader.py": LOADER})


@pytest.fixture
def one(nursery: str) -> Pool:
    return Pool(1, nursery)


def test_a_process_opens_what_workers_share_once_from_the_check_of_a_job_to_its_end(one: Pool, tmp_path: Path) -> None:
    with one:
        run(counted_job(tmp_path / "opened"), out=tmp_path / "run", pool=one)
    assert len(list((tmp_path / "opened").iterdir())) == 1


def test_the_next_run_opens_the_data_anew_because_they_may_be_others_by_then(one: Pool, tmp_path: Path) -> None:
    with one:
        for place in ("a", "b"):
            run(counted_job(tmp_path / "opened"), out=tmp_path / place, pool=one)
    assert len(list((tmp_path / "opened").iterdir())) == 2


def test_a_run_takes_over_nothing_but_what_the_check_of_its_own_job_left(one: Pool, tmp_path: Path) -> None:
    with one:
        one.about({"bundle": counted_job(tmp_path / "first").bundle()})
        assert len(list(one.run([Call("card", {"worker": "worker-0"})]))) == 1
        run(counted_job(tmp_path / "second"), out=tmp_path / "run", pool=one)
    assert [len(list((tmp_path / name).iterdir())) for name in ("first", "second")] == [1, 1]


@pytest.mark.parametrize(("workers", "processes", "openings"), [(1, 1, 1), (1, 2, 2), (2, 2, 2), (1, 3, 2)])
def test_processes_that_would_wait_for_the_cards_open_the_data_meanwhile_one_a_worker(
    nursery: str, tmp_path: Path, workers: int, processes: int, openings: int
) -> None:
    with Pool(processes, nursery) as pool:
        runner.check(runner.new_run(counted_job(tmp_path / "opened", workers), out=tmp_path / "run"), pool)
    assert len(list((tmp_path / "opened").iterdir())) == openings


CLIENTS = """
import time
from pathlib import Path
import numpy as np
from fl_core.types import Examples, FederatedData

def counted(folder: str) -> FederatedData:
    half = Examples(np.zeros((20, 64), np.float32), np.arange(20) % 10)

    def open_client(name: str) -> Examples:
        Path(folder, f"{name}-{time.time_ns()}").touch()
        return half

    names = tuple(f"client-{i}" for i in range(4))
    return FederatedData(names, (20,) * 4, open_client, lambda: half)
"""


def test_a_client_is_opened_once_a_round_where_many_are_trained_at_a_time_too(nursery: str, tmp_path: Path) -> None:
    openings = {}
    for engine in ("one_by_one", "batched"):
        (tmp_path / engine).mkdir()
        text = f"""{{format: 1, name: counted, program: {{name: logistic, features: 64, classes: 10}}, rounds: 2, strategy: fed_avg, engine: {engine},
          optimizer: {{name: SGD, learning_rate: 0.1}}, data: {{name: "loader.py:counted", folder: "{tmp_path / engine}"}}}}"""
        with Pool(1, nursery) as pool:
            run(parse_job(text, code={"loader.py": CLIENTS}), out=tmp_path / f"{engine}-run", pool=pool)
        openings[engine] = len(list((tmp_path / engine).iterdir()))
    assert openings["batched"] == openings["one_by_one"]
