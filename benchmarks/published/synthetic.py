"""FedProx's synthetic(alpha, beta): each client has a model and features of its own, the more unlike the others' the larger alpha and beta.

Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith: Federated Optimization in Heterogeneous Networks, 2020, section 5.1, https://arxiv.org/abs/1812.06127
"""

import numpy as np

from fl_core.types import Examples, FederatedData

FEATURES, CLASSES = 60, 10
SAMPLES_MIN, SAMPLES_MAX = 50, 5000
TEST_SHARE = 0.1


def synthetic(alpha: float = 1.0, beta: float = 1.0, iid: bool = False, clients: int = 30, seed: int = 0) -> FederatedData:
    """x (N, 60) float32, y (N,) int64 in 10 classes; sizes are log-normal; `alpha` and `beta` are deviations, as in the authors' code.

    A tenth of each client's examples are the test set, all clients' together. With `iid` all clients have one model and one distribution.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    sizes = np.minimum(random.lognormal(4, 2, clients).astype(int) + SAMPLES_MIN, SAMPLES_MAX)
    shared = random.normal(size=(FEATURES + 1, CLASSES))
    train: dict[str, Examples] = {}
    test: list[Examples] = []
    for number, size in enumerate(sizes):
        model = shared if iid else random.normal(random.normal(scale=alpha), 1, (FEATURES + 1, CLASSES))
        middle = np.zeros(FEATURES) if iid else random.normal(random.normal(scale=beta), 1, FEATURES)
        whole = _draw(random, int(size), model, middle)
        kept = int((1 - TEST_SHARE) * size)
        train[f"client-{number:02d}"] = whole.take(slice(0, kept))
        test.append(whole.take(slice(kept, None)))
    together = Examples(np.concatenate([part.x for part in test]), np.concatenate([part.y for part in test]))
    return FederatedData(tuple(train), [len(part) for part in train.values()], train.__getitem__, lambda: together)


def _draw(random: np.random.Generator, size: int, model: np.ndarray, middle: np.ndarray) -> Examples:
    """Examples around a middle, the variance of feature j being j ** -1.2, and the classes that a model gives them."""
    spread = np.arange(1, FEATURES + 1) ** -0.6
    x = random.normal(middle, spread, (size, FEATURES))
    scores = x @ model[1:] + model[0]
    return Examples(x.astype(np.float32), scores.argmax(axis=1).astype(np.int64))
