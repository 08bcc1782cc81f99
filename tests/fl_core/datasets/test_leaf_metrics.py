import csv
from pathlib import Path

import pytest

from fl_core import run
from fl_core.errors import InputError
from fl_core.leaf.metrics import STAT, SYS, summarise, write_metrics
from fl_core.pool import Pool
from fl_core.run_folder import Run
from fl_core.runner import open_run
from tests.jobs import tiny_job


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> Run:
    out = tmp_path_factory.mktemp("finished") / "run"
    run(tiny_job("rounds=2", "data.held_out=0.2", "evaluate={on: held_out}"), out=out, pool=pool)
    return open_run(out)


def test_the_files_have_the_columns_of_leaf_and_a_row_a_client_and_round(finished: Run, tmp_path: Path) -> None:
    stat_path, sys_path, rows = write_metrics(finished, tmp_path / "out")
    with stat_path.open() as file:
        stat = list(csv.DictReader(file))
    with sys_path.open() as file:
        system = list(csv.DictReader(file))
    assert (tuple(stat[0]), tuple(system[0])) == (STAT, SYS)
    assert sorted((row["set"], int(row["round_number"])) for row in stat) == sorted([("test", r) for r in (0, 1, 2)] * 6 + [("train", r) for r in (1, 2)] * 6)
    assert len(stat) == len(rows)
    assert len(system) == 12
    assert {row["bytes_written"] for row in system} == {str(650 * 4)}  # 64 x 10 weights and 10 biases of four bytes
    assert all(row["local_computations"] == row["num_samples"] for row in system)  # one local epoch
    halves = {row["client_id"]: 0 for row in stat}
    for row in stat:
        if row["round_number"] == "2":
            halves[row["client_id"]] += int(row["num_samples"])
    assert halves == {client: finished.population.size_of(client) for client in halves}


def test_the_weighted_mean_is_the_run_s_own_metric(finished: Run, tmp_path: Path) -> None:
    figures = summarise(write_metrics(finished, tmp_path / "out")[2])
    own = finished.record("summary.json")["metrics"]
    assert figures["test accuracy"]["mean"] == pytest.approx(own["accuracy"])
    assert [figures["test accuracy"][name] for name in ("p10", "p50", "p90")] == pytest.approx([own[f"accuracy_p{p}"] for p in (10, 50, 90)])


def test_means_are_weighted_and_percentiles_are_not() -> None:
    rows = [
        {"set": "test", "round_number": number, "num_samples": samples, "accuracy": accuracy, "loss": ""}
        for number, samples, accuracy in ((1, 9, 0.0), (2, 3, 0.0), (2, 1, 1.0))
    ]
    assert summarise(rows) == {"test accuracy": {"mean": 0.25, "p10": pytest.approx(0.1), "p50": 0.5, "p90": pytest.approx(0.9)}}


def test_metrics_are_not_written_over_others(finished: Run, tmp_path: Path) -> None:
    write_metrics(finished, tmp_path)
    with pytest.raises(InputError, match="exists already"):
        write_metrics(finished, tmp_path)
