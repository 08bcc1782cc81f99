"""A run of Flower's simulation, in Flower's own environment: `python -m benchmarks.flower_process same|usual ROUNDS FIRST.npz SECOND.npz`.

Starts from the weights in FIRST, writes those after round 1 to SECOND, and prints when each round was aggregated.
"""

import json
import sys
import time
import warnings
from collections.abc import Iterable

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

from benchmarks import flower_clients
from benchmarks.flower_job import CLIENTS

BACKEND = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}, "init_args": {"num_cpus": 2}}


class Timed(FedAvg):
    """Flower's own averaging, which notes when each round is done, and the weights after the first."""

    def __init__(self) -> None:
        super().__init__(fraction_evaluate=0.0, min_train_nodes=CLIENTS, min_available_nodes=CLIENTS)
        self.moments: list[float] = []
        self.second: ArrayRecord | None = None

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> tuple[ArrayRecord | None, MetricRecord | None]:
        replies = list(replies)
        failed = [reply for reply in replies if reply.has_error()]
        if failed or len(replies) != CLIENTS:
            raise RuntimeError(f"{len(replies)} of {CLIENTS} clients replied, {len(failed)} of them with an error: {failed[0].error if failed else ''}")
        found = super().aggregate_train(server_round, replies)
        self.moments.append(time.time())
        self.second = self.second or found[0]
        return found


def main(kind: str, rounds: int, first: str, second: str) -> None:
    strategy, app = Timed(), ServerApp()
    with np.load(first) as file:
        names, arrays = list(file), [file[name] for name in file]

    @app.main()
    def lead(grid: Grid, context: Context) -> None:
        strategy.start(grid=grid, initial_arrays=ArrayRecord(arrays), num_rounds=rounds)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run_simulation(app, getattr(flower_clients, kind), CLIENTS, backend_config=BACKEND)
    assert strategy.second is not None
    np.savez(second, **dict(zip(names, strategy.second.to_numpy_ndarrays(), strict=True)))
    print(json.dumps(strategy.moments), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:5])
