"""A fork goes on from before a kept round, with keys and memory, to the same bits; the run that it came from stays as it was."""

from pathlib import Path

import pytest

from fl_core import resume, run
from fl_core.errors import InputError
from fl_core.fork import fork
from fl_core.pool import Pool
from fl_core.run_folder import close_key, plan_key, state_key
from fl_core.store import FileStore
from fl_core.verify import verify
from tests.jobs import tiny_job


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> Path:
    folder = tmp_path_factory.mktemp("fork") / "run"
    run(tiny_job("strategy={name: scaffold, batch_size: 32}", "keep_states=all"), out=folder, pool=pool)
    return folder


def test_a_fork_goes_on_to_the_same_bits_and_leaves_the_run_as_it_was(finished: Path, tmp_path: Path, pool: Pool) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    new = fork(finished, 2, tmp_path / "new")
    assert new.store.exists(state_key(2))
    assert not new.store.exists(plan_key(2))
    assert new.store.exists(close_key(1))
    result = resume(tmp_path / "new", pool=pool)
    assert result.digest == resume(finished, pool=pool).digest
    assert result.summary["resumed_from"] == 1
    assert verify(FileStore(tmp_path / "new")).found == []
    assert before == {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}


def test_a_round_that_was_not_kept_cannot_be_forked(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The state of round 9 of .* was never made; kept are those of rounds 1-4\."):
        fork(finished, 9, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_fork_needs_a_folder_of_its_own(finished: Path) -> None:
    with pytest.raises(InputError, match="exists; give the fork a folder of its own"):
        fork(finished, 2, finished)
