"""A model of how fast clients' devices are, for simulation: each client's speed follows from its name and a seed, so that a run can be repeated."""

import hashlib
import math
from collections.abc import Mapping
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from fl_core.types import LocalWork

ONE_EPOCH = LocalWork()


class Devices(BaseModel):
    """Speeds spread log-normally about a median device: two thirds of the devices lie within the factor `spread` of it, for training and uploads apart.

    examples_per_second   of the median device, an example counted as often as it is seen
    upload_seconds        the median time to send a reply
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    examples_per_second: Annotated[float, Field(gt=0)] = 100.0
    upload_seconds: Annotated[float, Field(ge=0)] = 1.0
    spread: Annotated[float, Field(ge=1)] = 3.0
    seed: int = 0

    def seconds(self, client: str, examples: int, work: LocalWork = ONE_EPOCH) -> tuple[float, float]:
        """How long the client of so many examples takes to train, and to send its reply."""
        digest = hashlib.sha256(f"{self.seed}\n{client}".encode()).digest()
        training, sending = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little"))).standard_normal(2)
        width = math.log(self.spread)
        return seen(examples, work) / self.examples_per_second * math.exp(width * training), self.upload_seconds * math.exp(width * sending)

    def round_seconds(self, sizes: Mapping[str, int], work: LocalWork = ONE_EPOCH) -> float:
        """How long a round takes in which these clients (name: examples) train side by side: as long as its slowest; 0 where nobody does."""
        return max((sum(self.seconds(client, examples, work)) for client, examples in sizes.items()), default=0.0)


def seen(examples: int, work: LocalWork) -> int:
    """How many examples a client of so many goes through."""
    return work.steps * work.batch_size if work.steps is not None else work.epochs * examples
