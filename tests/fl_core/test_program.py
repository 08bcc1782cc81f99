from typing import Any

import pytest

from fl_core.errors import InputError
from fl_core.job import Job, parse_job
from fl_core.program import Program, check_fits, check_metric, direction_of, load_program

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


@pytest.mark.parametrize(
    ("program", "shape", "labels", "sentence"),
    [
        ({"name": "logistic", "features": 3}, [2], [0, 1], "program.features is 3, but the data have 2; set it to 2."),
        ({"name": "fl_core.programs.linear:program", "features": 3}, [2, 2], [0.5, 1.5], "program.features is 3, but the data have 4; set it to 4."),
        ({"name": "logistic", "features": 2}, [2], [0, 2], "program.classes is 2, so that labels go from 0 to 1, but the data have labels from 0 to 2."),
        (
            {"name": "mlp", "features": 2, "classes": 3},
            [2],
            [-1, 2],
            "program.classes is 3, so that labels go from 0 to 2, but the data have labels from -1 to 2.",
        ),
    ],
)
def test_a_ready_made_program_that_does_not_fit_the_data_names_the_option(
    program: dict[str, Any], shape: list[int], labels: list[float], sentence: str
) -> None:
    y = {"dtype": "int64" if isinstance(labels[0], int) else "float32", "range": labels}
    with pytest.raises(InputError) as refused:
        check_fits(job_of("", program), {"x": {"shape": shape}, "y": y})
    assert str(refused.value) == sentence


def test_what_options_of_other_programs_mean_is_theirs_to_say() -> None:
    own = "def program(features: int, classes: int = 2): return Program(model=net, loss=loss)"
    for job in (job_of(own, {"name": "my.py:program", "features": 3}), job_of("", "digits"), job_of("", {"name": "logistic", "features": 2, "classes": 5})):
        check_fits(job, {"x": {"shape": [2]}, "y": {"dtype": "int64", "range": [0, 4]}})
