"""The options that several loaders share, as types that are checked where the job is read."""

from typing import Annotated

from pydantic import Field

TestShare = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
