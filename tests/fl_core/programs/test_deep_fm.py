"""DeepFM: what it adds up, how it ranks, and that it learns what there is to learn."""

from pathlib import Path

import numpy as np
import paddle
import pytest

from fl_core import load_job, run
from fl_core.datasets.generated_clicks import best_scores, draw_clicks, make_world
from fl_core.learning import Learner
from fl_core.pool import Pool
from fl_core.programs import deep_fm
from fl_core.section import Optimizer
from fl_core.types import LocalWork

EXAMPLE = Path(__file__).parents[3] / "examples" / "clicks.yaml"


def test_the_odds_are_the_worth_of_each_word_of_each_two_and_what_the_network_adds() -> None:
    net = deep_fm.program(counts=1, categories=3, buckets=4, embedding=2, hidden=[]).model()
    net.worth.weight.set_value(np.array([[1], [10], [100], [0]], np.float32))
    net.embedding.weight.set_value(np.array([[1, 2], [3, 0], [0, 5], [9, 9]], np.float32))
    net.linear.weight.set_value(np.array([[0.5]], np.float32))
    for parameter in net.deep.parameters():
        parameter.set_value(paddle.zeros(parameter.shape))
    # Hash 6 falls into bucket 2. Products of two embeddings: (1,2)(3,0) = 3, (1,2)(0,5) = 10, (3,0)(0,5) = 0.
    assert net(paddle.to_tensor([[4.0, 0, 1, 6]])).tolist() == [4 * 0.5 + 111 + 13]
    net.deep.layers[0].weight.set_value(np.array([[2], [1], [0], [0], [0], [0], [0]], np.float32))
    assert net(paddle.to_tensor([[4.0, 0, 1, 6]])).tolist() == [4 * 0.5 + 111 + 13 + (2 * 4 + 1)]


@pytest.mark.parametrize(
    ("scores", "clicks", "wanted"),
    [([0.1, 0.9, 0.5], [0, 1, 1], 1.0), ([0.9, 0.1, 0.5], [0, 1, 1], 0.0), ([0.5, 0.5, 0.4, 0.6], [0, 1, 0, 0], 0.5), ([0.5, 0.2], [1, 1], 0.5)],
)
def test_auc_is_the_share_of_pairs_in_their_order(scores: list[float], clicks: list[int], wanted: float) -> None:
    assert float(deep_fm.auc(paddle.to_tensor(scores), paddle.to_tensor(clicks))) == pytest.approx(wanted)


def test_it_learns_the_generated_clicks_but_knows_no_more_than_there_is() -> None:
    shown = draw_clicks(make_world(publishers=2, words=4, seed=0), 12_000, seed=0)
    train, test = shown.examples.take(slice(10_000)), shown.examples.take(slice(10_000, None))
    learner = Learner(deep_fm.program(buckets=5000, embedding=2, hidden=[8], learning_rate=0.01), Optimizer(), seed=1)
    start = learner.weights()
    fitted, _ = learner.fit(start, train, LocalWork(batch_size=50), seed=1)
    found = learner.evaluate({name: start[name] + move for name, move in fitted.move.items()}, test)
    measured = {name: value / found.examples for name, value in found.sums.items()}
    best, usual = best_scores(shown.chance[10_000:]), best_scores(np.full(2000, test.y.mean()))
    # More than half of what lies between a guess and the best possible, give or take what 2000 draws do.
    assert (best["auc"] + usual["auc"]) / 2 < measured["auc"] < best["auc"] + 0.02
    assert best["loss"] - 0.02 < measured["loss"] < (best["loss"] + usual["loss"]) / 2


def test_the_example_trains_every_publisher(tmp_path: Path, pool: Pool) -> None:
    job = load_job(EXAMPLE, ["rounds=1", "data.examples=300", "data.publishers=3", "program.buckets=100", "program.hidden=[4]"])
    result = run(job, out=tmp_path / "run", pool=pool)
    assert (result.summary["examples"], result.summary["failures"]) == (240, [])
    assert set(result.metrics) == {"loss", "auc"}
