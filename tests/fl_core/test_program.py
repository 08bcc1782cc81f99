from typing import Any

import pytest

from fl_core.errors import InputError
from fl_core.job import Job, parse_job
from fl_core.program import Program, check_metric, direction_of, load_program

MODEL = "from fl_core.program import Program\ndef net(): return None\ndef loss(net, batch): return 0\n"


def a_program(**more: Any) -> Program:
    return Program(model=lambda: None, loss=lambda net, batch: 0, **more)


def job_of(text: str, name: str | dict[str, Any] = "my.py:program") -> Job:
    return parse_job(f"{{format: 1, name: a, program: {name!r}, data: digits, rounds: 1}}", code={"my.py": MODEL + text})


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("accuracy", "higher"),
        ("loss", "lower"),
        ("recall_at_20", "higher"),
        ("test_loss", "lower"),
        ("accuracy_p10", "higher"),
        ("f1", "higher"),
        ("wonder", None),
        ("glossy", None),
        ("", None),
    ],
)
def test_a_metrics_name_tells_its_direction(metric: str, direction: str | None) -> None:
    assert direction_of(metric) == direction


def test_the_program_knows_better_than_the_name() -> None:
    program = a_program(better={"wonder": "higher", "loss": "higher"})
    assert (program.direction("wonder"), program.direction("loss"), program.direction("accuracy")) == ("higher", "higher", "higher")


def test_a_metric_without_a_direction_is_refused() -> None:
    with pytest.raises(InputError, match="Nobody said whether 'wonder' is better higher or lower; add it to the program's `better`"):
        a_program().direction("wonder")


def test_a_metric_that_is_not_measured_is_refused_with_a_close_one() -> None:
    check_metric("accuracy", ["accuracy"])
    with pytest.raises(InputError, match=r"^stop_when.acuracy is nothing that the program measures; did you mean 'accuracy'\?$"):
        check_metric("acuracy", ["accuracy", "loss"])


def test_a_program_may_be_an_object_or_a_function_with_options() -> None:
    assert isinstance(load_program(job_of("program = Program(net, loss)\n")), Program)
    made = load_program(job_of("def program(better: str): return Program(net, loss, better={better: 'higher'})\n", {"name": "my.py:program", "better": "joy"}))
    assert made.direction("joy") == "higher"


def test_an_option_of_a_ready_program_is_refused() -> None:
    with pytest.raises(InputError, match=r"^program.width is not an option of 'my.py:program', which is a ready Program; leave it out\.$"):
        load_program(job_of("program = Program(net, loss)\n", {"name": "my.py:program", "width": 3}))


@pytest.mark.parametrize("part", ["model", "loss"])
def test_a_program_needs_a_model_and_a_loss(part: str) -> None:
    with pytest.raises(InputError, match=f"The program 'my.py:program' has no {part}"):
        load_program(job_of(f"from dataclasses import replace\nprogram = replace(Program(net, loss), {part}=None)\n"))
