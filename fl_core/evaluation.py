"""What an evaluation must be to be merged; a worker may send anything."""

from typing import Annotated

from pydantic import BaseModel, Field

from fl_core.codec import Record
from fl_core.errors import KeyMissing
from fl_core.federation import clients_of
from fl_core.reply import STRICT, Figure, Unacceptable, refusing
from fl_core.run_folder import Run, card_key, evaluation_key, state_key

EXAMPLES_MAX = 1 << 53


class Figures(BaseModel):
    model_config = STRICT
    examples: Annotated[int, Field(ge=1, le=EXAMPLES_MAX)]
    metrics: dict[str, Figure]


class EvaluationRecord(BaseModel):
    """What a worker's evaluation must hold."""

    model_config = STRICT
    round: int
    worker: str
    state: str
    clients: dict[str, Figures]
    test: Figures | None = None


def evaluation_of(run: Run, round: int, worker: str) -> Record | None:
    """A worker's evaluation of the round's first state, None where there is none; Unacceptable where it is not what was asked for."""
    try:
        with refusing("an evaluation"):
            found = run.record(evaluation_key(round, worker))
            EvaluationRecord.model_validate(found)
    except KeyMissing:
        return None
    if (found["round"], found["worker"], found["state"]) != (round, worker, run.digest(state_key(round))):
        raise Unacceptable(f"its evaluation is of another state than round {round} starts from")
    if not set(found["clients"]) <= set(clients_of(run.record(card_key(worker)))):
        raise Unacceptable("its evaluation is of clients that are not its own")
    if "test" in found and worker != run.job.workers[0].name:
        raise Unacceptable("its evaluation is of the test set, which is not its to measure")
    return found
