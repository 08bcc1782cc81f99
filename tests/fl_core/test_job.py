from pathlib import Path

import pytest

from fl_core.errors import InputError
from fl_core.job import Job, load_job, parse_bundle, parse_job
from tests.jobs import DIGITS, tiny_job

OWN = "{format: 1, name: own, program: 'my.py:program', strategy: 'more/mine.py:mine', data: digits, rounds: 1}"


def write(folder: Path, **files: str) -> Path:
    """A job file in a folder, beside the user's files."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_py", ".py").replace("_yaml", ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "job.yaml"


def own_job(folder: Path, program: str = "program = 1\n") -> Job:
    return load_job(write(folder, job_yaml=OWN, my_py=program, more__mine_py="mine = 2\n"))


def test_an_override_sets_one_key_and_its_value_is_yaml() -> None:
    job = tiny_job("rounds=7", "strategy.local_epochs=5", "stop_when={accuracy: 0.9}", "data.partition.clients=3", "deadline_seconds=null")
    assert job.rounds == 7
    assert job.strategy.options == {"local_epochs": 5, "batch_size": 32}
    assert job.stop_when == {"accuracy": 0.9}
    assert job.data.partition is not None
    assert job.data.partition.options == {"clients": 3, "alpha": 2.0}
    assert job.deadline_seconds is None


def test_an_override_may_add_options_to_a_bare_name() -> None:
    job = parse_job("{format: 1, name: a, program: digits, strategy: fed_avg, data: digits, rounds: 1}", ["strategy.local_epochs=2", "data.partition=iid"])
    assert (job.strategy.name, job.strategy.options) == ("fed_avg", {"local_epochs": 2})
    assert job.data.partition is not None
    assert job.data.partition.name == "iid"


def test_later_overrides_win() -> None:
    assert tiny_job("rounds=4", "rounds=9").rounds == 9


def test_paths_count_from_the_job_file(tmp_path: Path) -> None:
    text = """
        {format: 1, name: a, program: digits, rounds: 1, start_from: ../old, data: {name: csv, path: my.csv, test_path: /abs/t.csv, label: y},
         federation: {workers: [{name: a, data: {name: csv, path: a/b.csv, label: y}}, {name: b, data: {name: csv, path: "s3://b/c", label: y}}]}}
    """
    job = load_job(write(tmp_path / "jobs", job_yaml=text))
    assert job.data.options["path"] == str(tmp_path / "jobs/my.csv")
    assert job.data.options["test_path"] == "/abs/t.csv"
    assert job.start_from == str(tmp_path / "old")
    assert [worker.data.options["path"] for worker in job.workers if worker.data] == [str(tmp_path / "jobs/a/b.csv"), "s3://b/c"]


def test_a_published_model_to_start_from_is_no_path(tmp_path: Path) -> None:
    text = "{format: 1, name: a, program: digits, data: digits, rounds: 1, start_from: 'models:a/production'}"
    assert load_job(write(tmp_path, job_yaml=text)).start_from == "models:a/production"


def test_the_users_files_travel_with_the_job(tmp_path: Path) -> None:
    job = own_job(tmp_path)
    assert job.code == {"my.py": "program = 1\n", "more/mine.py": "mine = 2\n"}
    assert (job.resolve("program", "my.py:program"), job.resolve("strategy", "more/mine.py:mine")) == (1, 2)


def test_a_bundle_is_one_line_and_gives_the_same_job_again(tmp_path: Path) -> None:
    job = own_job(tmp_path)
    again = parse_bundle(job.bundle())
    assert "\n" not in job.bundle()
    assert again == job
    assert (again.digest, again.code, again.text) == (job.digest, job.code, job.text)


def test_a_bundle_takes_overrides(tmp_path: Path) -> None:
    assert parse_bundle(own_job(tmp_path).bundle(), ["rounds=5"]).rounds == 5


@pytest.mark.parametrize("bundle", ["", "[]", "{}", '{"job": "format: 1"}', "format: 1"])
def test_what_is_no_bundle_is_refused(bundle: str) -> None:
    with pytest.raises(InputError, match="The job bundle is not JSON with 'job' and 'code'"):
        parse_bundle(bundle)


def test_the_digest_changes_with_the_job_and_with_its_code(tmp_path: Path) -> None:
    digests = [own_job(tmp_path / "a"), own_job(tmp_path / "b"), own_job(tmp_path / "c", "program = 2\n"), tiny_job(), tiny_job("seed=6")]
    assert digests[0].digest == digests[1].digest
    assert len({job.digest for job in digests}) == 4


def test_the_digest_does_not_see_how_a_job_is_written() -> None:
    one = parse_job("{format: 1, name: a, program: digits, strategy: fed_avg, data: digits, rounds: 1}")
    other = parse_job("# a note\nrounds: 1\nname: a\ndata: {name: digits}\nstrategy: {name: fed_avg}\nprogram: digits\nformat: 1\n")
    assert one.digest == other.digest


def test_seeds_stay_the_same_for_ever() -> None:
    job = parse_job(DIGITS)
    assert job.seed_for("init") == 1201786400193318195
    assert job.seed_for("train", 1, "client-0") == 7065119820543245066


def test_every_use_has_a_seed_of_its_own() -> None:
    jobs = [tiny_job(), tiny_job("seed=6")]
    seeds = [job.seed_for(*words) for job in jobs for words in [("train", 1, "a"), ("train", 1, "b"), ("train", 2, "a"), ("select", 1), ("train", 11)]]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_small_numbers_may_be_written_with_an_exponent() -> None:
    job = tiny_job("optimizer.learning_rate=1e-3", "stop_when={loss: 1E-2}")
    assert job.optimizer.options["learning_rate"] == 0.001
    assert parse_bundle(job.bundle()).stop_when == {"loss": 0.01}


def test_a_word_that_looks_like_a_number_stays_a_word() -> None:
    job = parse_job("{format: 1, name: '1e3', program: digits, data: {name: digits, column: '007'}, rounds: 1}")
    again = parse_bundle(job.bundle())
    assert (again.name, again.data.options["column"]) == ("1e3", "007")


def test_a_learning_rate_of_one_is_a_number_that_paddle_takes() -> None:
    rate = tiny_job("optimizer.learning_rate=1").optimizer.options["learning_rate"]
    assert (rate, type(rate)) == (1.0, float)


def test_a_bare_name_is_short_for_an_optimizer() -> None:
    assert tiny_job("optimizer=Adam").optimizer.name == "Adam"


def test_a_number_of_workers_names_them() -> None:
    assert [worker.name for worker in tiny_job("federation.workers=3").workers] == ["worker-0", "worker-1", "worker-2"]


def test_the_jobs_text_says_every_key() -> None:
    assert {"quorum: 0.6", "retries: 2", "keep_updates: last_round", "seed: 5"} <= set(tiny_job().text.splitlines())


OWN_DATA = "{format: 1, name: a, program: digits, rounds: 1, federation: {workers: [{name: a, data: digits}, {name: b, data: breast_cancer}]}}"


def test_a_job_whose_workers_name_their_own_data_needs_none() -> None:
    job = parse_job(OWN_DATA)
    assert (job.data.name, job.data.held_out) == ("", 0)
    assert parse_job(OWN_DATA, ["data.held_out=0.2"]).data.held_out == 0.2
    assert parse_job(job.text).digest == job.digest


@pytest.mark.parametrize("override", ["data=digits", "data.path=a.csv", "data.partition.alpha=0.1"])
def test_an_override_of_data_that_nobody_opens_is_refused(override: str) -> None:
    shared = OWN_DATA.replace("rounds: 1", "rounds: 1, data: {name: digits, partition: iid}")
    with pytest.raises(InputError, match=f"'--set {override}' has no effect: every worker of federation.workers names its own data; change it there"):
        parse_job(shared, [override])


def test_data_options_without_a_loader_are_refused_where_nobody_opens_them() -> None:
    with pytest.raises(InputError, match=r"^data.path has no effect: every worker of federation.workers names its own data; change it there\.$"):
        parse_job(OWN_DATA, ["data.path=a.csv"])
