"""Same job, same seed: the same bits with any number of processes and workers; and what must change them does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fl_core.pool import Pool
from fl_core.runner import Result, run
from tests.pipelines.small_jobs import CNN, GRU, SOFTMAX, small_job

MODELS = pytest.mark.parametrize("text", [SOFTMAX, CNN, GRU], ids=["softmax", "cnn with batch-norm and dropout", "gru"])


@pytest.fixture(scope="module")
def one_process(nursery: str) -> Iterator[Pool]:
    """A pool of one training process."""
    pool = Pool(1, nursery)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def digests(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> dict[str, Result]:
    """Each model as its job says, on two processes."""
    folder = tmp_path_factory.mktemp("plain")
    return {text: run(small_job(text), out=folder / str(place), pool=pool) for place, text in enumerate((SOFTMAX, CNN, GRU))}


@MODELS
def test_the_clients_are_of_unequal_size(text: str, digests: dict[str, Result]) -> None:
    assert len(set(digests[text].run.population.sizes)) > 2


@MODELS
def test_one_process_or_two_end_in_the_same_bits(text: str, digests: dict[str, Result], one_process: Pool, tmp_path: Path) -> None:
    assert run(small_job(text), out=tmp_path / "one", pool=one_process).digest == digests[text].digest


@pytest.mark.parametrize("workers", [1, 2, 5])
@MODELS
def test_clients_spread_over_workers_end_in_the_same_bits(text: str, workers: int, digests: dict[str, Result], pool: Pool, tmp_path: Path) -> None:
    spread = run(small_job(text, f"federation.workers={workers}"), out=tmp_path / "spread", pool=pool)
    assert {spread.run.population.worker_of(client) for client in spread.run.population.clients} == {f"worker-{i}" for i in range(workers)}
    assert spread.digest == digests[text].digest


@pytest.mark.parametrize("parts", [1, 5])
def test_leases_of_any_size_end_in_the_same_bits(parts: int, digests: dict[str, Result], pool: Pool, tmp_path: Path) -> None:
    assert run(small_job(CNN, f"federation.parts={parts}"), out=tmp_path / "parts", pool=pool).digest == digests[CNN].digest


@pytest.mark.parametrize("processes", [1, 2])
def test_a_job_that_stops_in_the_middle_ends_in_the_bits_of_that_round(
    processes: int, digests: dict[str, Result], pool: Pool, one_process: Pool, tmp_path: Path
) -> None:
    second = run(small_job(SOFTMAX, "rounds=2"), out=tmp_path / "second", pool=pool)
    goal = second.metrics["loss"]
    stopped = run(small_job(SOFTMAX, f"stop_when={{loss: {goal!r}}}"), out=tmp_path / "stopped", pool=one_process if processes == 1 else pool)
    assert (stopped.summary["rounds"], stopped.digest) == (2, second.digest)
    assert stopped.digest != digests[SOFTMAX].digest


@pytest.mark.parametrize(
    "change",
    ["seed=99", "selection={name: 'made.py:all_but', client: client-3}", "strategy.shuffle=false", "strategy.batch_size=8"],
    ids=["another seed", "a dropped client", "a permuted batch order", "another batch size"],
)
@MODELS
def test_what_must_change_the_bits_does(text: str, change: str, digests: dict[str, Result], pool: Pool, tmp_path: Path) -> None:
    assert run(small_job(text, change), out=tmp_path / "changed", pool=pool).digest != digests[text].digest
