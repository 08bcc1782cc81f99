from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import pytest

from fl_core import resume, run
from fl_core.codec import digest_weights
from fl_core.errors import FederationError, InputError
from fl_core.pool import Pool
from fl_core.program import Program
from fl_core.run_folder import close_key, metrics_key
from fl_core.runner import Progress, Result, new_run
from fl_core.strategies.fed_avg import fed_avg
from fl_core.strategy import Draw
from fl_core.types import Client, ClientUpdate, Examples, FederatedData, RoundState, Weights
from tests.jobs import tiny_job


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> Result:
    """The small job, run to its end."""
    return run(tiny_job(), out=tmp_path_factory.mktemp("finished") / "run", pool=pool)


def folder_of(result: Result) -> Path:
    return Path(result.run.store.uri.removeprefix("file://"))


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """The bytes of every file below a folder, and when it was written."""
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_run_ends_with_model_metrics_and_summary(finished: Result) -> None:
    assert {"model.safetensors", "metrics.jsonl", "summary.json", "journal.jsonl"} <= {path.name for path in folder_of(finished).iterdir()}
    assert finished.summary["rounds"] == 3
    assert finished.metrics["accuracy"] > 0.5
    assert (finished.summary["runner"], finished.summary["failures"], finished.summary["resumed_from"]) == ("process", [], None)
    assert finished.weights["weight"].shape == (64, 10)
    assert {"paddle", "threads", "mkl_debug_cpu_type", "features"} <= set(finished.summary["numerics"])


def test_the_summary_counts_every_example_that_was_seen(finished: Result) -> None:
    assert finished.summary["examples"] == 3 * sum(finished.run.population.sizes)


def test_a_resume_of_a_finished_run_changes_nothing(finished: Result, pool: Pool) -> None:
    folder = folder_of(finished)
    before = contents(folder.parent)
    again = resume(folder, pool=pool)
    assert again.summary == finished.summary
    assert contents(folder.parent) == before


def test_the_same_job_ends_in_the_same_bits_and_another_seed_in_others(finished: Result, tmp_path: Path, pool: Pool) -> None:
    assert run(tiny_job("federation.workers=5"), out=tmp_path / "a", pool=pool).digest == finished.digest
    assert run(tiny_job("seed=6"), out=tmp_path / "b", pool=pool).digest != finished.digest


@pytest.mark.parametrize("file", ["job.yaml", "roster.json"])
def test_an_edited_copy_of_the_job_is_refused(file: str, tmp_path: Path, pool: Pool) -> None:
    result = run(tiny_job("rounds=1"), out=tmp_path / "run", pool=pool)
    path = folder_of(result) / "job" / file
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(InputError) as refused:
        resume(tmp_path / "run", pool=pool)
    assert str(refused.value) == f"'job/{file}' in file://{tmp_path}/run was changed after the run began; start a new run for another job."


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path: Path, pool: Pool) -> None:
    with pytest.raises(InputError, match=r"^There is no run in file://.*: 'job/manifest.json' is missing\.$"):
        resume(tmp_path, pool=pool)


def test_an_existing_run_is_not_run_again(finished: Result, pool: Pool) -> None:
    with pytest.raises(InputError, match="exists; give the run another name, or go on with it with `fl resume`"):
        run(tiny_job(), out=folder_of(finished), pool=pool)


def test_a_run_lies_under_its_name_in_the_store(tmp_path: Path, pool: Pool) -> None:
    result = run(tiny_job("rounds=1"), store=f"file://{tmp_path}", name="first", pool=pool)
    assert result.summary["run"] == "first"
    assert (tmp_path / "runs/first/summary.json").exists()


def test_a_run_is_called_after_its_job_and_the_time(tmp_path: Path) -> None:
    assert new_run(tiny_job(), store=f"file://{tmp_path}").name.startswith("tiny-20")


@pytest.mark.parametrize("name", ["a/b", "..", "a b", "-a", "x" * 64])
def test_a_name_that_is_no_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="The run's name is"):
        new_run(tiny_job(), store=f"file://{tmp_path}", name=name)
    assert not list(tmp_path.iterdir())


def test_a_new_run_writes_nothing(tmp_path: Path) -> None:
    new_run(tiny_job(), out=tmp_path / "a" / "run")
    assert not list(tmp_path.iterdir())


def test_on_round_hears_of_every_round(tmp_path: Path, pool: Pool) -> None:
    heard: list[Progress] = []
    result = run(tiny_job(), out=tmp_path / "run", pool=pool, on_round=heard.append)
    assert [(progress.round, progress.rounds) for progress in heard] == [(1, 3), (2, 3), (3, 3)]
    assert heard[-1].metrics["accuracy"] == result.metrics["accuracy"]
    assert "train_loss" in heard[0].metrics
    assert sum(progress.examples for progress in heard) == result.summary["examples"]


def test_a_run_on_one_process_ends_in_the_same_bits(finished: Result, tmp_path: Path, pool: Pool) -> None:
    pool.processes, two = 1, pool.processes
    try:
        assert run(tiny_job(), out=tmp_path / "run", pool=pool).digest == finished.digest
    finally:
        pool.processes = two


def test_a_strategy_of_closures_stands_in_for_the_jobs(tmp_path: Path, pool: Pool) -> None:
    scale = 0.0
    base = fed_avg(batch_size=32)
    trip = base.exchanges[0]

    def frozen(client: Client, state: RoundState, memory: Weights, message: Weights) -> tuple[ClientUpdate, Weights]:
        update, memory = trip.at_worker(client, state, memory, message)
        return replace(update, move={name: value * np.float32(scale) for name, value in update.move.items()}), memory

    result = run(tiny_job("rounds=1"), strategy=replace(base, exchanges=(replace(trip, at_worker=frozen),)), out=tmp_path / "run", pool=pool)
    assert result.digest == digest_of_start(result)


def digest_of_start(result: Result) -> str:
    return digest_weights(result.run.state(1).weights)


def test_the_jobs_selection_holds_for_a_given_strategy(tmp_path: Path, pool: Pool) -> None:
    job = tiny_job("rounds=1", "selection={name: uniform, clients_per_round: 2}", "quorum=0")
    result = run(job, strategy=fed_avg(batch_size=32), out=tmp_path / "run", pool=pool)
    assert len(result.run.record(close_key(1))["clients"]) == 2


def test_data_and_a_program_of_closures_stand_in_for_the_jobs(tmp_path: Path, pool: Pool) -> None:
    offset = 3.0

    def site(name: str) -> Examples:
        x = np.linspace(-1, 1, 20, dtype=np.float32).reshape(20, 1)
        return Examples(x, (2 * x + offset).astype(np.float32))

    def model() -> Any:
        import paddle

        return paddle.nn.Linear(1, 1)

    def loss(net: Any, batch: Any) -> Any:
        return ((net(batch[0]) - batch[1]) ** 2).mean()

    data = FederatedData(["here", "there"], [20, 20], site, lambda: site("test"))
    job = tiny_job("strategy.batch_size=5", "strategy.local_epochs=20", "optimizer.learning_rate=0.1")
    result = run(job, data=data, program=Program(model, loss), out=tmp_path / "run", pool=pool)
    assert result.weights["bias"] == pytest.approx([offset], abs=1e-3)
    assert result.metrics["loss"] < 1e-5
    assert list(result.run.record(close_key(1))["clients"]) == ["here", "there"]


def test_batch_statistics_take_part_in_the_mean(tmp_path: Path, pool: Pool) -> None:
    sizes, values = {"here": 10, "there": 30}, {"here": 1.0, "there": 5.0}

    def site(name: str) -> Examples:
        return Examples(np.full((sizes[name], 1), values[name], np.float32), np.zeros((sizes[name], 1), np.float32))

    def model() -> Any:
        import paddle

        return paddle.nn.BatchNorm1D(1, momentum=0.9)

    def loss(net: Any, batch: Any) -> Any:
        return ((net(batch[0]) - batch[1]) ** 2).mean()

    data = FederatedData(list(sizes), list(sizes.values()), site, lambda: site("here"))
    result = run(tiny_job("rounds=1", "strategy.batch_size=100"), data=data, program=Program(model, loss), out=tmp_path / "run", pool=pool)
    # One batch a client: 0.9 * 0 + 0.1 * 1 and 0.9 * 0 + 0.1 * 5, weighed by 10 and 30 examples.
    assert result.weights["_mean"] == pytest.approx([0.4])
    assert result.weights["_variance"] == pytest.approx([0.9])


def test_a_run_with_given_objects_cannot_be_resumed_from_its_folder(tmp_path: Path, pool: Pool) -> None:
    def stop_at_two(progress: Progress) -> None:
        if progress.round == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tiny_job(), strategy=fed_avg(batch_size=32), out=tmp_path / "run", pool=pool, on_round=stop_at_two)
    with pytest.raises(InputError, match=r"^This run was given its strategy in Python; start it again there, it cannot be resumed from its folder\.$"):
        resume(tmp_path / "run", pool=pool)


def test_an_interrupted_run_goes_on_to_the_same_bits(finished: Result, tmp_path: Path, pool: Pool) -> None:
    def stop_at_two(progress: Progress) -> None:
        if progress.round == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tiny_job(), out=tmp_path / "run", pool=pool, on_round=stop_at_two)
    result = resume(tmp_path / "run", pool=pool)
    assert result.digest == finished.digest
    assert result.summary["resumed_from"] == 2


def test_a_run_may_start_from_another_runs_last_weights(finished: Result, tmp_path: Path, pool: Pool) -> None:
    result = run(tiny_job("rounds=1", f"start_from={folder_of(finished)}"), out=tmp_path / "run", pool=pool)
    assert digest_of_start(result) == finished.digest
    model = run(tiny_job("rounds=1", f"start_from={folder_of(finished)}/model.safetensors"), out=tmp_path / "model", pool=pool)
    assert model.digest == result.digest


def test_a_job_that_reaches_its_goal_stops_there(finished: Result, tmp_path: Path, pool: Pool) -> None:
    goal = finished.run.record(metrics_key(3))["metrics"]["accuracy"]
    result = run(tiny_job("rounds=9", f"stop_when={{accuracy: {goal}}}"), out=tmp_path / "run", pool=pool)
    assert result.summary["rounds"] <= 2
    assert result.metrics["accuracy"] >= goal


def test_only_every_other_round_is_measured_and_the_last(tmp_path: Path, pool: Pool) -> None:
    result = run(tiny_job("evaluate.every_rounds=2"), out=tmp_path / "run", pool=pool)
    assert [result.run.store.exists(metrics_key(round)) for round in (1, 2, 3, 4)] == [True, False, True, True]


def test_clients_are_measured_on_what_they_held_out(tmp_path: Path, pool: Pool) -> None:
    result = run(tiny_job("rounds=1", "data.held_out=0.2", "evaluate.on=held_out"), out=tmp_path / "run", pool=pool)
    record = result.run.record(metrics_key(2))
    accuracies = [figures["metrics"]["accuracy"] for figures in record["clients"].values()]
    assert len(accuracies) == 6
    assert result.metrics["accuracy_p10"] == pytest.approx(np.percentile(accuracies, 10))
    assert result.metrics["accuracy"] == result.metrics["accuracy_held_out"]
    held = sum(figures["examples"] for figures in record["clients"].values())
    assert result.summary["examples"] == sum(result.run.population.sizes) - held


def test_both_the_test_set_and_the_held_out_parts_may_be_measured(tmp_path: Path, pool: Pool) -> None:
    result = run(tiny_job("rounds=1", "data.held_out=0.2", "evaluate.on=both"), out=tmp_path / "run", pool=pool)
    assert {"accuracy", "accuracy_held_out", "accuracy_p10", "accuracy_p50", "accuracy_p90", "loss", "loss_held_out"} <= set(result.metrics)
    assert result.metrics["accuracy"] != result.metrics["accuracy_held_out"]


def test_clients_are_measured_before_and_after_local_training(tmp_path: Path, pool: Pool) -> None:
    result = run(tiny_job("rounds=2", "data.held_out=0.2", "evaluate={on: held_out, around_training: true}"), out=tmp_path / "run", pool=pool)
    for round in (1, 2):
        trained, measured = result.run.record(close_key(round))["clients"], result.run.record(metrics_key(round))["clients"]
        for client, figures in trained.items():
            assert figures["before_accuracy"] == measured[client]["metrics"]["accuracy"]
            assert figures["before_loss"] == measured[client]["metrics"]["loss"]
            assert figures["after_loss"] != figures["before_loss"]
        assert sum(figures["after_loss"] for figures in trained.values()) < sum(figures["before_loss"] for figures in trained.values())


def test_measuring_around_training_does_not_change_the_bits(tmp_path: Path, pool: Pool) -> None:
    digests = [
        run(tiny_job("rounds=1", "data.held_out=0.2", f"evaluate.around_training={around}"), out=tmp_path / around, pool=pool).digest
        for around in ("true", "false")
    ]
    assert digests[0] == digests[1]


def test_a_metric_that_is_not_a_number_stops_the_run_in_one_sentence(tmp_path: Path, pool: Pool) -> None:
    def model() -> Any:
        import paddle

        return paddle.nn.Linear(64, 10)

    def loss(net: Any, batch: Any) -> Any:
        import paddle

        return paddle.nn.functional.cross_entropy(net(batch[0]), batch[1])

    def metrics(net: Any, batch: Any) -> dict[str, float]:
        return {"auc": 0.5 if len(batch[1]) < 10 else float("nan")}

    with pytest.raises(FederationError) as caught:
        run(tiny_job(), program=Program(model, loss, metrics=metrics), out=tmp_path / "run", pool=pool)
    assert str(caught.value) == "The program's auc is nan on 359 examples; the model diverged, or auc is not defined there."


def test_a_selection_that_fails_later_stops_the_run_in_one_sentence(tmp_path: Path, pool: Pool) -> None:
    def tired(draw: Draw) -> Sequence[str]:
        if draw.round == 2:
            raise RuntimeError("no more")
        return draw.clients

    with pytest.raises(InputError, match=r"^The selection 'everyone' fails in round 2: RuntimeError: no more\.$"):
        run(tiny_job(), strategy=replace(fed_avg(batch_size=32), select=tired), out=tmp_path / "run", pool=pool)


def test_what_clients_remember_of_a_run_that_was_removed_is_not_in_the_way(tmp_path: Path, pool: Pool) -> None:
    def trained(seed: int, folder: str) -> str:
        return run(tiny_job("strategy={name: scaffold, batch_size: 32}", "rounds=2", f"seed={seed}"), out=tmp_path / folder, pool=pool).digest

    trained(7, "run")
    rmtree(tmp_path / "run")
    assert trained(8, "run") == trained(8, "other")


def test_the_held_out_part_is_never_trained_on(tmp_path: Path, pool: Pool) -> None:
    result = run(tiny_job("rounds=1", "data.held_out=0.2", "evaluate.on=held_out"), out=tmp_path / "run", pool=pool)
    sizes = {client: result.run.population.size_of(client) for client in result.run.population.clients}
    closed, measured = result.run.record(close_key(1))["clients"], result.run.record(metrics_key(2))["clients"]
    assert {client: closed[client]["seen"] + measured[client]["examples"] for client in sizes} == sizes
