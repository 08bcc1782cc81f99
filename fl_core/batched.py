"""The batched engine: small models of many clients trained at a time, each on its own examples, as one larger computation.

Its bits differ from those of one at a time. The first client of a group that asks to be trained has all of the group trained; the others find their
result, if they ask for the same. A strategy need not know. What a group cannot do (a correction) is done one client at a time.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import paddle

from fl_core.types import Examples, LocalWork, Trained, Weights

CLIENTS_AT_ONCE = 64
Losses = Callable[[Mapping[str, Any], tuple[Any, Any]], Any]
Open = Callable[[str], tuple[Examples, int]]


@dataclass(frozen=True)
class _Asked:
    """What the first of a group asked for, and what each client of it got."""

    weights: Weights
    work: LocalWork
    trained: dict[str, Trained]


class Groups:
    """The clients of one part in groups. It has state because a group is trained when its first client asks."""

    def __init__(self, losses: Losses, learning_rate: float, clients: Sequence[str], open_client: Open) -> None:
        """`losses` is the program's `together`; `open_client` gives a client's examples and its seed."""
        self._losses, self._learning_rate, self._open = losses, learning_rate, open_client
        self._clients, self._asked = list(clients), _Asked({}, LocalWork(), {})

    def fit(self, client: str, weights: Weights, work: LocalWork) -> Trained | None:
        """The client's result, None where its group was trained for something else."""
        if client not in self._asked.trained and client in self._clients:
            at = self._clients.index(client)
            group, self._clients = self._clients[at : at + CLIENTS_AT_ONCE], self._clients[at + CLIENTS_AT_ONCE :]
            self._asked = _Asked(weights, work, self._train(group, weights, work))
        trained = self._asked.trained.pop(client, None)
        return trained if weights is self._asked.weights and work == self._asked.work else None

    def _train(self, group: Sequence[str], weights: Weights, work: LocalWork) -> dict[str, Trained]:
        opened = {}
        for client in group:
            try:
                opened[client] = self._open(client)
            except Exception:  # it is opened again in its own turn, where its failure is told
                continue
        found = fit_together(self._losses, weights, list(opened.values()), work, self._learning_rate)
        return dict(zip(opened, found, strict=True))


def fit_together(losses: Losses, weights: Weights, clients: Sequence[tuple[Examples, int]], work: LocalWork, learning_rate: float) -> list[Trained]:
    """Plain SGD from the same weights for each (examples, seed), in the batches that each would see by itself."""
    batches = [_rows(len(examples), work, seed) for examples, seed in clients]
    steps = max(map(len, batches))
    rows, shares = _pad(batches, [len(examples) for examples, _ in clients], steps, work.batch_size)
    x, y = (paddle.to_tensor(np.concatenate([getattr(examples, half) for examples, _ in clients])) for half in ("x", "y"))
    models = {name: paddle.to_tensor(np.repeat(value[None], len(clients), axis=0), stop_gradient=False) for name, value in weights.items()}
    sums = []
    for chosen, share in zip(paddle.to_tensor(rows), paddle.to_tensor(shares), strict=True):
        batch = tuple(paddle.gather(values, chosen.flatten()).reshape([*chosen.shape, *values.shape[1:]]) for values in (x, y))
        weighed = losses(models, batch) * share
        weighed.sum().backward()
        with paddle.no_grad():
            for model in models.values():
                model.add_(model.grad * -learning_rate)
                model.clear_gradient()
        sums.append(weighed.detach().sum(axis=1))
    means = paddle.stack(sums).numpy().astype(np.float64)
    after = {name: model.numpy() for name, model in models.items()}
    return [
        Trained(
            {name: after[name][k] - value for name, value in weights.items()}, len(examples), len(batches[k]),
            {"loss": float(means[: len(batches[k]), k].mean()), "seen": float(sum(map(len, batches[k])))},
        )
        for k, (examples, _) in enumerate(clients)
    ]  # fmt: skip


def _rows(count: int, work: LocalWork, seed: int) -> list[np.ndarray]:
    """The rows of each of a client's batches."""
    random = np.random.Generator(np.random.PCG64(seed))
    wanted = work.steps if work.steps is not None else work.epochs * -(-count // work.batch_size)
    batches: list[np.ndarray] = []
    while len(batches) < wanted:
        rows = random.permutation(count) if work.shuffle else np.arange(count)
        batches += [rows[start : start + work.batch_size] for start in range(0, count, work.batch_size)]
    return batches[:wanted]


def _pad(batches: Sequence[Sequence[np.ndarray]], counts: Sequence[int], steps: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (steps, clients, size) among all clients' examples, and each one's share in its batch's mean: 0 where a client has no such row or is done."""
    starts = np.cumsum([0, *counts[:-1]])
    rows = np.zeros((steps, len(batches), size), np.int64)
    shares = np.zeros((steps, len(batches), size), np.float32)
    for k, mine in enumerate(batches):
        lengths = np.array([len(chosen) for chosen in mine])
        filled = np.arange(size) < lengths[:, None]
        rows[: len(mine), k][filled] = np.concatenate(mine) + starts[k]
        shares[: len(mine), k] = filled / lengths[:, None]
    return rows, shares
