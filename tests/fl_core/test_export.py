"""Export: a published model loads in plain Paddle and in Paddle Inference, and gives what it gave here."""

from pathlib import Path

import numpy as np
import pytest

from fl_core import registry, run
from fl_core.codec import decode_tensors
from fl_core.errors import InputError, SignatureError
from fl_core.export import export
from fl_core.pool import Pool
from fl_core.store import DictStore, FileStore
from tests.fl_core.published import published
from tests.jobs import tiny_job

CLOSE = 1e-5


@pytest.fixture(scope="module")
def root(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> FileStore:
    """A store with a small network as `tiny/1`."""
    folder = tmp_path_factory.mktemp("store")
    job = tiny_job("rounds=1", "program={name: mlp, features: 64, hidden: [8], classes: 10}", "optimizer.learning_rate=0.1", "publish={metric: accuracy}")
    result = run(job, store=f"file://{folder}", name="one", pool=pool)
    assert result.summary["published"]["decision"] == "published"
    return FileStore(folder)


def outputs_here(root: FileStore, x: np.ndarray) -> np.ndarray:
    """What the published weights give, layer by layer in numpy."""
    weights, _ = decode_tensors(registry.read_model(root, registry.read(root, "tiny/1")), "model")
    hidden = np.maximum(x @ weights["layers.0.weight"] + weights["layers.0.bias"], 0)
    return np.asarray(hidden @ weights["layers.1.weight"] + weights["layers.1.bias"])


def some_x(rows: int) -> np.ndarray:
    return np.random.default_rng(0).random((rows, 64), np.float32)


def test_a_published_model_loads_in_plain_paddle(root: FileStore, pool: Pool, tmp_path: Path) -> None:
    import paddle

    export(root, "tiny/production", "paddle", tmp_path / "out", pool)
    net = paddle.nn.Sequential(paddle.nn.Linear(64, 8), paddle.nn.ReLU(), paddle.nn.Linear(8, 10))
    state = paddle.load(str(tmp_path / "out" / "model.pdparams"))
    assert sorted(state) == ["layers.0.bias", "layers.0.weight", "layers.1.bias", "layers.1.weight"]
    missing, unexpected = net.set_state_dict({name.replace("layers.1", "2").replace("layers.", ""): value for name, value in state.items()})
    assert (missing, unexpected) == ([], [])
    x = some_x(5)
    assert np.abs(net(paddle.to_tensor(x)).numpy() - outputs_here(root, x)).max() < CLOSE


def test_a_published_model_serves_batches_of_any_size_in_paddle_inference(root: FileStore, pool: Pool, tmp_path: Path) -> None:
    from paddle import inference

    export(root, "tiny/1", "inference", tmp_path / "out", pool)
    config = inference.Config(str(tmp_path / "out" / "model.json"), str(tmp_path / "out" / "model.pdiparams"))
    config.disable_mkldnn()
    config.disable_glog_info()
    predictor = inference.create_predictor(config)
    for rows in (1, 7):
        x = some_x(rows)
        predictor.get_input_handle("x").copy_from_cpu(x)
        predictor.run()
        found = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
        assert np.abs(found - outputs_here(root, x)).max() < CLOSE


def test_safetensors_are_the_published_bytes_with_their_record(root: FileStore, pool: Pool, tmp_path: Path) -> None:
    export(root, "tiny/1", "safetensors", tmp_path / "a" / "out", pool)
    assert (tmp_path / "a" / "out" / "model.safetensors").read_bytes() == root.get("models/tiny/1/model.safetensors")
    assert (tmp_path / "a" / "out" / "record.json").read_bytes() == root.get("models/tiny/1/record.json")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "model.safetensors", "out", "record.json"]


def test_a_folder_that_holds_something_is_left_alone(root: FileStore, pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(InputError, match="holds something already; export to a folder that does not exist yet"):
        export(root, "tiny/1", "paddle", tmp_path, pool)
    with pytest.raises(InputError, match="holds something already"):
        export(root, "tiny/1", "paddle", tmp_path / "mine", pool)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_cannot_be_exported_leaves_nothing_behind(pool: Pool, tmp_path: Path) -> None:
    root = DictStore({})
    published(root, "a")  # its weights are `w` and `b`; its program is a linear layer with 64 inputs
    key = "models/small/1/model.safetensors"
    root.delete(key)
    root.put(key, b"other bytes")
    with pytest.raises(SignatureError, match=key):
        export(root, "small/1", "safetensors", tmp_path / "out", pool)
    assert list(tmp_path.iterdir()) == []
