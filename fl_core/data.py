"""Opens what a job's `data` section names: its loader, its partition, and each client's own held-out part."""

import numpy as np

from fl_core.codec import digest_weights, sha256
from fl_core.datasets._check import check_classes, check_federated, check_rows, check_set, check_view
from fl_core.errors import InputError
from fl_core.job import Job
from fl_core.names import NumberedNames
from fl_core.section import Data
from fl_core.types import CentralData, Deal, Examples, FederatedData

FINGERPRINTED_CLIENTS_MAX = 10_000


def open_data(job: Job, data: Data) -> FederatedData:
    """The section's examples by client; InputError where they cannot be trained on. Nothing is sliced before a client is opened.

    A set without a partition is one client. Federated data are passed through as they are: a million clients whose names are worked out when asked for stay so.
    """
    loaded = job.build("data", data)
    if isinstance(loaded, FederatedData):
        if data.partition is not None:
            raise InputError(f"data.partition is '{data.partition.name}', but '{data.name}' knows its clients already; leave the partition out.")
        check_federated(loaded)
        return loaded
    if not isinstance(loaded, CentralData):
        raise InputError(f"The data '{data.name}' are a {type(loaded).__name__}; a loader gives an fl_core.types.CentralData or FederatedData.")
    check_set(loaded)
    # The data of one organisation may well show one class only; those of the whole job may not.
    if data == job.data:
        check_classes(loaded.train)
    return _deal(job, data, loaded)


def split_held_out(job: Job, client: str, examples: Examples, share: float) -> tuple[Examples, Examples]:
    """(train, held out) of one client, the same at every call: about `share` of the examples held out, and at least one in each part."""
    count = len(examples)
    if count < 2:
        raise InputError(
            f"data.held_out is {share}, but client '{client}' has {count} examples; holding out needs at least 2, so set it to 0 or deal to fewer clients."
        )
    held_count = min(max(round(count * share), 1), count - 1)
    order = np.random.Generator(np.random.PCG64(job.seed_for("held_out", client))).permutation(count)
    return examples.take(np.sort(order[held_count:])), examples.take(np.sort(order[:held_count]))


def fingerprint(data: FederatedData) -> str:
    """sha256 over every client's name and examples and over the test set; above FINGERPRINTED_CLIENTS_MAX clients over their number and sizes."""
    if len(data.clients) > FINGERPRINTED_CLIENTS_MAX:
        return sha256(np.fromiter(data.sizes, np.int64, len(data.clients)).tobytes())
    parts = [f"{client}\n{_digest(data.open(client))}" for client in data.clients]
    test = data.test()
    return sha256("\n".join([*parts, "" if test is None else _digest(test)]).encode())


def _digest(examples: Examples) -> str:
    return digest_weights({"x": examples.x, "y": examples.y})


def _deal(job: Job, data: Data, central: CentralData) -> FederatedData:
    if data.partition is None:
        return FederatedData(NumberedNames(1), (len(central.train),), lambda client: central.train, lambda: central.test, meaning=central.meaning)
    random = np.random.Generator(np.random.PCG64(job.seed_for("partition")))
    dealt = job.build("partition", data.partition, data=central, random=random)
    deal = dealt if isinstance(dealt, Deal) else Deal(dealt)
    rows = deal.rows
    check_rows(rows, data.partition.name, len(central.train))
    clients = tuple(sorted(rows))
    name = data.partition.name

    def open_client(client: str) -> Examples:
        seen = deal.view(client, central.train.take(rows[client]))
        check_view(seen, name, client, len(rows[client]))
        return seen

    return FederatedData(clients, tuple(len(rows[client]) for client in clients), open_client, lambda: central.test, deal.note, central.meaning)
