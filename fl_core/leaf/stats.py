"""What LEAF prints of a set: users, samples, and how uneven the users are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fl_core.errors import InputError
from fl_core.leaf.files import find_files, list_users


def user_sizes(path: Path) -> list[int]:
    """How many samples each user of a file or folder has: of `all_data` where there is one, else of `train` and `test` together, else of what lies there."""
    halves = [path / "all_data"] if (path / "all_data").is_dir() else [path / "train", path / "test"] if (path / "train").is_dir() else [path]
    sizes: dict[str, int] = {}
    for half in halves:
        for place in list_users(find_files(half)):
            sizes[place.user] = sizes.get(place.user, 0) + place.samples
    if not sizes:
        raise InputError(f"'{path}' has no LEAF file with users; it is a folder of .json files, or one of them.")
    return list(sizes.values())


def count_samples(sizes: Sequence[int]) -> dict[str, int | float]:
    """Users, samples, and the mean, standard deviation (of the whole, not of a sample of it) and skewness of samples per user."""
    counts = np.asarray(sizes, np.float64)
    deviation = float(counts.std())
    skewness = float(((counts - counts.mean()) ** 3).mean() / deviation**3) if deviation else 0.0
    return {"users": len(counts), "samples": int(counts.sum()), "mean": float(counts.mean()), "std": deviation, "skewness": skewness}
