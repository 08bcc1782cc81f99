"""Federated learning with PaddlePaddle: one job file, the same bits everywhere.

>>> from fl_core import load_job, run  # doctest: +SKIP
>>> result = run(load_job("job.yaml"))  # doctest: +SKIP
"""

from importlib import import_module
from typing import Any

_DOORS = {"load_job": "fl_core.job", "run": "fl_core.runner", "resume": "fl_core.runner", "Pool": "fl_core.pool"}


def __getattr__(name: str) -> Any:
    """Imports a door when it is first used, so that `import fl_core` costs nothing."""
    if name in _DOORS:
        return getattr(import_module(_DOORS[name]), name)
    raise AttributeError(f"module 'fl_core' has no attribute '{name}'")
