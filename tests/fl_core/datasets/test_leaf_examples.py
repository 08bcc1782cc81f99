from pathlib import Path

import pytest

from fl_core import load_job, run
from fl_core.pool import Pool
from tests.fl_core.datasets.leaf_files import content, write

EXAMPLES = Path(__file__).parents[3] / "examples" / "leaf"


@pytest.mark.parametrize(("clients", "epochs"), [(3, 1), (3, 100), (35, 1)])
def test_the_reference_settings_on_femnist_are_those_of_leaf(clients: int, epochs: int) -> None:
    job = load_job(EXAMPLES / f"femnist_c{clients}_e{epochs}.yaml")
    assert (job.selection.options, job.strategy.options) == ({"clients_per_round": clients}, {"local_epochs": epochs, "batch_size": 10})
    assert (job.rounds, job.optimizer.options, job.data.options["set"]) == (2000, {"learning_rate": 0.004}, "femnist")


def test_a_reference_job_trains_on_leaf_files(tmp_path: Path, pool: Pool) -> None:
    users = {f"f{n}": {"x": [[n / 8 + i / 99 for i in range(784)]] * 2, "y": [n, n + 1]} for n in range(3)}
    for half in ("train", "test"):
        write(tmp_path / "data" / half / f"all_data_0_niid_05_keep_0_{half}_9.json", content(users))
    job = load_job(EXAMPLES / "femnist_c3_e1.yaml", [f"data.path={tmp_path / 'data'}", "rounds=1", "program.dense=8"])
    summary = run(job, out=tmp_path / "run", pool=pool).summary
    assert (summary["rounds"], summary["examples"]) == (1, 6)
