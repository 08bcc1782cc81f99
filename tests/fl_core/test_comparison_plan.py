import doctest
from pathlib import Path

import pytest

import fl_core.comparison_plan
from fl_core.comparison_plan import RUNS_MAX, folder_name, head, label, plan, read_vary, split_values
from fl_core.errors import InputError
from tests.jobs import DIGITS


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(DIGITS)
    return path


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(fl_core.comparison_plan).failed == 0


def test_every_combination_runs_with_every_seed_and_the_first_seeds_come_first(job_file: Path) -> None:
    planned = plan(job_file, [], ["strategy.name=fed_avg,scaffold", "strategy.local_epochs=1,5"], 2, "out")
    ran = [(one.job.strategy.name, one.job.strategy.options["local_epochs"], one.job.seed) for one in planned]
    grid = [("fed_avg", 1), ("fed_avg", 5), ("scaffold", 1), ("scaffold", 5)]
    assert ran == [(*pair, 5) for pair in grid] + [(*pair, 6) for pair in grid]
    assert planned[-1].folder == Path("out/strategy.name=scaffold,strategy.local_epochs=5/seed-6")
    assert planned[-1].name == "scaffold · local_epochs 5 · seed 6"


def test_without_anything_to_vary_the_job_itself_runs_with_every_seed(job_file: Path) -> None:
    planned = plan(job_file, ["rounds=2"], [], 3, "out")
    assert [(one.folder, one.job.seed, one.job.rounds) for one in planned] == [(Path(f"out/tiny/seed-{seed}"), seed, 2) for seed in (5, 6, 7)]
    assert planned[0].name == "tiny · seed 5"


def test_nothing_that_is_compared_is_published(job_file: Path) -> None:
    job_file.write_text(DIGITS + "publish: {metric: accuracy}\n")
    assert plan(job_file, [], ["strategy.local_epochs=1,2"], 1, "out")[0].job.publish is None


def test_commas_within_brackets_and_quotes_part_no_values() -> None:
    assert split_values("[1, 2],[3]", "") == ["[1, 2]", "[3]"]
    assert split_values("{name: dirichlet, alpha: 0.1},{name: iid}", "") == ["{name: dirichlet, alpha: 0.1}", "{name: iid}"]
    assert split_values("""'a, b',"c, d" """, "") == ["'a, b'", '"c, d"']
    assert split_values("{a: [1, {b: 2}], c: 'x}, y'},z", "") == ["{a: [1, {b: 2}], c: 'x}, y'}", "z"]


def test_a_quote_within_a_word_is_a_letter() -> None:
    assert split_values("don't,won't", "") == ["don't", "won't"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["strategy.name"], "'--vary strategy.name' is not of the form key.path=value,value."),
        (["=1,2"], "'--vary =1,2' is not of the form key.path=value,value."),
        (["rounds=1,,2"], "'--vary rounds=1,,2' has an empty value; write null for none."),
        (["rounds=1,1"], "'--vary rounds=1,1' names the value '1' twice; name it once."),
        (["rounds=1", "rounds=2"], "--vary names 'rounds' twice; list all of its values in one."),
        (["seed=1,2"], "'--vary seed' is what --seeds does: --seeds 3 runs three seeds, counted from the job's own."),
        (["a=[1,2"], "'--vary a=[1,2' has a ] missing; a comma inside of brackets or quotes parts no values."),
        (["a='1,2"], "'--vary a='1,2' has a ' missing; a comma inside of brackets or quotes parts no values."),
    ],
)
def test_a_word_that_cannot_be_understood_is_one_sentence(words: list[str], said: str) -> None:
    with pytest.raises(InputError) as raised:
        read_vary(words)
    assert str(raised.value) == said


def test_too_many_runs_are_refused_before_any_job_is_read() -> None:
    many = ",".join(str(number) for number in range(1, RUNS_MAX + 2))
    with pytest.raises(InputError, match=r"The comparison has 201 runs \(combinations x seeds\); it has at most 200"):
        plan("nowhere.yaml", [], [f"rounds={many}"], 1, "out")
    with pytest.raises(InputError, match="The comparison has 201 runs"):
        plan("nowhere.yaml", [], [], 201, "out")


def test_no_seeds_are_refused() -> None:
    with pytest.raises(InputError, match="--seeds is 0; a comparison has at least 1"):
        plan("nowhere.yaml", [], [], 0, "out")


def test_one_wrong_job_refuses_all(job_file: Path) -> None:
    with pytest.raises(InputError, match="rounds is 0; a job has at least 1"):
        plan(job_file, [], ["rounds=1,0"], 1, "out")
    with pytest.raises(InputError, match="'strategi' is no key of a job; did you mean 'strategy'"):
        plan(job_file, [], ["strategi.name=fed_avg,scaffold"], 1, "out")


def test_two_words_for_one_job_are_refused(job_file: Path) -> None:
    with pytest.raises(InputError, match=r"'learning_rate 0.1' and 'learning_rate 0.1' are the same job; name each value once"):
        plan(job_file, [], ["optimizer.learning_rate=0.1,0.10"], 1, "out")


def test_a_folders_name_is_readable_and_never_shared() -> None:
    assert folder_name({"strategy.name": "scaffold"}) == "strategy.name=scaffold"
    one, other = folder_name({"data.x": "[1, 2]"}), folder_name({"data.x": "[1_ 2]"})
    assert one.startswith("data.x=_1,_2_-")
    assert one != other
    assert len(folder_name({"strategy.name": "x" * 300})) < 128


def test_keys_that_end_alike_keep_their_whole_names() -> None:
    values = {"strategy.batch_size": "1", "data.batch_size": "2"}
    assert [head(key, values) for key in values] == list(values)
    assert label(values) == "strategy.batch_size 1 · data.batch_size 2"
    assert label({"selection": "uniform", "data.partition.name": "iid"}) == "uniform · iid"
