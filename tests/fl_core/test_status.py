"""What is said of a run that says no more itself."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fl_core import generator
from fl_core.journal import JOURNAL, journal
from fl_core.run_folder import Run
from fl_core.status import status_of
from fl_core.store import DictStore, FileStore
from pipelines.cli import main
from pipelines.commands.status import _ago
from tests.jobs import tiny_job


def test_the_last_sign_of_life_is_the_newest_time_in_the_journal_whatever_else_stands_there() -> None:
    run = Run("r", tiny_job(), DictStore({}), DictStore({}))
    generator.write_job(run, keys="roster")
    assert status_of(run)["last_sign"] is None
    times = ["2026-01-01T00:00:02.000+00:00", "2026-01-01T00:00:01.000+00:00", "soon", "2027-01-01T00:00:00", 7]
    run.store.append(JOURNAL, b"".join(json.dumps(line).encode() + b"\n" for line in [*({"time": time} for time in times), {}, 5]))
    assert status_of(run)["last_sign"] == times[0]


def test_a_run_that_is_not_finished_is_shown_with_its_last_sign_of_life(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run("r", tiny_job(), FileStore(tmp_path / "run"), FileStore(tmp_path / "run.private"))
    generator.write_job(run, keys="roster")
    journal(run, "stage", stage="select", round=1)
    assert main(["status", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"  last sign of life \d+ s ago; who is killed says no more, and `running` stays", said[1])
    assert said[2] == "  worker-0: has not arrived: it is not started yet, or refused the job and left, which only its own output tells"


def test_how_long_ago_is_in_seconds() -> None:
    assert _ago("2026-01-01T00:00:00.000+00:00", datetime(2026, 1, 1, 1, 0, 5, tzinfo=UTC)) == "3,605 s ago"
