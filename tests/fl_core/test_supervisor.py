"""A role that dies is started again with the same orders, ever more slowly and not for ever; one that ends in good order is not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fl_core.supervisor import supervise

DIES_TWICE = """
import os, signal, sys
from pathlib import Path
told, folder = sys.stdin.read(), Path(sys.argv[1])
tries = len(list(folder.iterdir()))
(folder / f"{tries}").write_text(told)
if tries == 0: os.kill(os.getpid(), signal.SIGKILL)
sys.exit(1 if tries == 1 else int(sys.argv[2]))
"""
NEVER = 1_000_000.0


def ending_with(code: int) -> list[str]:
    return [sys.executable, "-S", "-c", f"raise SystemExit({code})"]


@pytest.mark.parametrize("code", [0, 2, 3])
def test_an_end_in_good_order_is_passed_on_and_not_tried_again(code: int) -> None:
    pauses: list[float] = []
    assert supervise(ending_with(code), "", sleep=pauses.append) == code
    assert pauses == []


@pytest.mark.parametrize("code", [0, 3])
def test_a_role_that_dies_is_started_again_with_the_same_orders(code: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pauses: list[float] = []
    assert supervise([sys.executable, "-S", "-c", DIES_TWICE, str(tmp_path), str(code)], "lead", sleep=pauses.append) == code
    assert [(tmp_path / f"{i}").read_text() for i in range(3)] == ["lead"] * 3
    assert pauses == [1.0, 2.0]
    said = capfd.readouterr().err
    assert "The role was killed by signal 9; it is started again in 1 s (1 of at most 20 times)." in said
    assert "The role ended with exit code 1; it is started again in 2 s (2 of at most 20 times)." in said


def test_it_gives_up_after_so_many_deaths_and_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    pauses: list[float] = []
    assert supervise(ending_with(7), "", restarts_max=8, sleep=pauses.append) == 1
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert capfd.readouterr().err.endswith("The role ended with exit code 7; it died 9 times, which is too often.\n")


def test_a_role_that_lived_long_before_it_died_counts_anew() -> None:
    pauses: list[float] = []
    times = iter([0.0, 1.0, 0.0, 600.0, 0.0, 1.0, 0.0, 1.0])
    assert supervise(ending_with(1), "", restarts_max=2, sleep=pauses.append, clock=lambda: next(times)) == 1
    assert pauses == [1, 1, 2]


def test_the_role_dies_with_its_supervisor(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    role = f"import time; held = open('{pipe}', 'w'); held.write('begun'); held.flush(); time.sleep({NEVER})"
    code = f"import sys; from fl_core.supervisor import supervise; supervise([sys.executable, '-S', '-c', {role!r}], '')"
    supervisor = subprocess.Popen([sys.executable, "-c", code])
    with open(pipe) as line:
        assert line.read(5) == "begun"
        supervisor.send_signal(signal.SIGKILL)
        assert line.read() == ""  # the end of the line: whoever held it is gone
    assert supervisor.wait(10) == -signal.SIGKILL
