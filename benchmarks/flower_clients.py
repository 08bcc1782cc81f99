"""Clients for Flower's simulation, in Flower's own environment: one calls our training function, one is written as Flower's quick start is, in Paddle."""

from functools import lru_cache
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from benchmarks.flower_job import BATCH_SIZE, LEARNING_RATE, SIZES, client_data, flower_job

same, usual = ClientApp(), ClientApp()


@same.train()
def train_same(message: Message, context: Context) -> Message:
    """Our training function: the model is built once a process, the data are opened once."""
    name, examples = _client(context)
    names, learner, work = _learner()
    weights = dict(zip(names, message.content["arrays"].to_numpy_ndarrays(), strict=True))
    seed = flower_job(1).seed_for("train", message.content["config"]["server-round"], name)
    trained, _ = learner.fit(weights, examples, work, seed)
    return _reply(message, [weights[name] + trained.move[name] for name in names], trained.examples, trained.metrics["loss"])


@lru_cache(maxsize=1)
def _learner() -> Any:
    from fl_core.learning import Learner
    from fl_core.program import load_program
    from fl_core.types import LocalWork

    job = flower_job(1)
    learner = Learner(load_program(job), job.optimizer, job.seed_for("init"))
    return sorted(learner.weights()), learner, LocalWork(epochs=1, batch_size=BATCH_SIZE)


@usual.train()
def train_usual(message: Message, context: Context) -> Message:
    """The quick start's way: a new model, its state loaded, a DataLoader, an optimizer and a plain loop for each task."""
    import paddle
    from paddle.io import DataLoader, TensorDataset
    from paddle.nn import functional as F

    _, examples = _client(context)
    net = _net()
    keys = sorted(net.state_dict())
    net.set_state_dict(dict(zip(keys, message.content["arrays"].to_numpy_ndarrays(), strict=True)))
    loader = DataLoader(TensorDataset([paddle.to_tensor(examples.x), paddle.to_tensor(examples.y)]), batch_size=BATCH_SIZE, shuffle=True)
    optimizer = paddle.optimizer.SGD(LEARNING_RATE, parameters=net.parameters())
    net.train()
    total = 0.0
    for x, y in loader:
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        total += float(loss)
    return _reply(message, [net.state_dict()[key].numpy() for key in keys], len(examples), total / len(loader))


def _net() -> Any:
    from paddle import nn

    first, second = SIZES[1:3]
    return nn.Sequential(nn.Linear(SIZES[0], first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, SIZES[3]))


def _client(context: Context) -> tuple[str, Any]:
    """The name and the examples of the client that this node stands for; read once a process."""
    return client_data(int(context.node_config["partition-id"]))


def _reply(message: Message, arrays: list[np.ndarray], examples: int, loss: float) -> Message:
    metrics = MetricRecord({"train_loss": float(loss), "num-examples": examples})
    return Message(content=RecordDict({"arrays": ArrayRecord(arrays), "metrics": metrics}), reply_to=message)
