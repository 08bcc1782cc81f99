"""Data of your own: any function that gives CentralData, which a partition deals out, or FederatedData, whose examples lie with their clients.

data: {name: my_data.py:sites, sites: 5, drift: 0.5}
"""

import numpy as np

from fl_core.names import NumberedNames
from fl_core.types import Examples, FederatedData


def sites(sites: int = 10, examples: int = 60, drift: float = 0.3, seed: int = 0) -> FederatedData:
    """Points of two classes; each site measures them with an offset of its own. x (N, 2) float32, y (N,) int64."""
    names = NumberedNames(sites, prefix="site-")

    def measure(site: int, offset: float) -> Examples:
        random = np.random.Generator(np.random.PCG64([seed, site]))
        y = random.integers(0, 2, examples)
        x = random.normal(size=(examples, 2)) + 2.0 * y[:, None] + offset * random.normal(size=2)
        return Examples(x.astype(np.float32), y)

    return FederatedData(names, [examples] * sites, lambda name: measure(names.index(name), drift), lambda: measure(sites, 0.0))
