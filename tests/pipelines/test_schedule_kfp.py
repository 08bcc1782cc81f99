"""`fl schedule create|list|pause|resume|delete|run-now` against a server that takes only what the published API of Kubeflow Pipelines allows."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fl_core.errors import InputError
from fl_core.job import load_job
from fl_core.section import FILE_NAME
from pipelines.cli import main
from pipelines.kfp_client import Access, connect
from pipelines.recurring import RUN_NAME_MAX, parameters, seconds_of, six_fields, when
from tests.pipelines.kfp_stub import TOKEN, KfpStub, kfp_stub

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "schedule.yaml")
STORE = "s3://paddlefl/root"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[KfpStub]:
    monkeypatch.setenv("FL_KFP_TOKEN", TOKEN)
    with kfp_stub() as stub:
        yield stub


def fl(server: KfpStub, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    """Exit code, the object on stdout (None where nothing was printed) and stderr of `fl schedule ... --json`."""
    code = main(["schedule", *words, "--host", server.url, "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


def create(server: KfpStub, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    return fl(server, capsys, "create", EXAMPLE, "--store", STORE, *words)


def test_a_schedule_runs_one_occurrence_at_a_time_without_catching_up_each_from_production(server: KfpStub, capsys: pytest.CaptureFixture[str]) -> None:
    code, told, _ = create(server, capsys, "--cron", "0 2 * * *")
    (made,) = server.bodies["recurring_run_service_create_recurring_run"]
    assert (code, told["name"], told["cron"]) == (0, "scheduled", "0 0 2 * * *")
    assert (made["max_concurrency"], made["no_catchup"], made["mode"]) == (1, True, "ENABLE")
    assert made["trigger"] == {"cron_schedule": {"cron": "0 0 2 * * *"}}
    assert made["runtime_config"]["parameters"] == {
        "store": STORE, "run": "scheduled-[[ScheduledTime]]", "start_from": "models:scheduled/production?", "overrides": "data.month=[[Index]]"
    }  # fmt: skip


def test_the_run_of_an_occurrence_has_a_name_that_the_store_takes() -> None:
    job = load_job(EXAMPLE, [f"name={'x' * 63}"])
    name = parameters(job, STORE)["run"].replace("[[ScheduledTime]]", "20261122020000")
    assert FILE_NAME.fullmatch(name)
    assert len(name) == RUN_NAME_MAX + 15


def test_schedules_are_listed_paused_resumed_and_deleted(server: KfpStub, capsys: pytest.CaptureFixture[str]) -> None:
    create(server, capsys, "--every", "1h", "--name", "hourly")
    server.kept["recurring_runs"] += [{**server.kept["recurring_runs"][0], "display_name": f"other-{i}", "recurring_run_id": f"o{i}"} for i in range(4)]
    _, told, _ = fl(server, capsys, "list")
    assert [one["name"] for one in told["schedules"]] == ["hourly", "other-0", "other-1", "other-2", "other-3"]
    assert told["schedules"][0] == {"name": "hourly", "id": "recurring_runs-1", "cron": None, "every_seconds": 3600, "enabled": True}
    for action, enabled in (("pause", False), ("resume", True)):
        code, told, _ = fl(server, capsys, action, "hourly")
        assert (code, told["id"], fl(server, capsys, "list")[1]["schedules"][0]["enabled"]) == (0, "recurring_runs-1", enabled)
    assert fl(server, capsys, "delete", "o2")[0] == 0
    assert [one["display_name"] for one in server.kept["recurring_runs"]] == ["hourly", "other-0", "other-1", "other-3"]


def test_an_occurrence_outside_of_the_times_has_a_name_and_a_number_of_its_own(server: KfpStub, capsys: pytest.CaptureFixture[str]) -> None:
    create(server, capsys, "--cron", "0 0 2 * * *")
    code, _, err = fl(server, capsys, "run-now", "scheduled")
    assert (code, "say which this is with --occurrence N" in err, server.kept["runs"]) == (2, True, [])
    code, told, _ = fl(server, capsys, "run-now", "scheduled", "--occurrence", "4")
    (run,) = server.kept["runs"]
    given = run["runtime_config"]["parameters"]
    assert (code, given["overrides"], given["start_from"]) == (0, "data.month=4", "models:scheduled/production?")
    assert re.fullmatch(r"scheduled-\d{14}", given["run"])
    assert (told["run"], told["url"]) == (given["run"], f"{server.url}/#/runs/details/runs-1")
    assert run["pipeline_version_reference"] == server.kept["recurring_runs"][0]["pipeline_version_reference"]


def test_a_name_that_is_taken_unknown_or_not_unique_is_refused(server: KfpStub, capsys: pytest.CaptureFixture[str]) -> None:
    create(server, capsys, "--every", "1h")
    code, _, err = create(server, capsys, "--every", "2h")
    assert (code, err) == (2, "A schedule 'scheduled' is there already; give this one another --name, or delete that one first.\n")
    code, _, err = fl(server, capsys, "pause", "schedule")
    assert (code, err) == (2, "There is no schedule 'schedule'; did you mean 'scheduled'?\n")
    server.kept["recurring_runs"].append({**server.kept["recurring_runs"][0], "recurring_run_id": "twin"})
    code, _, err = fl(server, capsys, "pause", "scheduled")
    assert (code, err) == (2, "There are 2 schedules 'scheduled'; say which by its id: recurring_runs-1, twin.\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "A schedule has either --cron or --every"),
        (["--every", "1h", "--set", "publish=null"], "The job has no 'publish' section"),
        (["--every", "1h", "--set", "start_from=runs/a"], "an occurrence starts from production"),
        (["--every", "1h", "--store", "file://store"], "--store is 'file://store'; pods meet"),
    ],
)
def test_what_cannot_be_scheduled_is_refused_before_anything_is_made(
    server: KfpStub, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told, err = create(server, capsys, *words)
    assert (code, told, sentence in err) == (2, None, True)
    assert not any(server.kept.values())


@pytest.mark.parametrize(
    ("status", "code", "sentence"), [(401, 1, "does not know who you are"), (404, 2, "does not have what was asked for"), (429, 1, "has no room for it now")]
)
def test_what_the_server_refuses_is_one_sentence(server: KfpStub, status: int, code: int, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    server.fail("recurring_run_service_list_recurring_runs", status, times=1)
    server.fail("recurring_run_service_list_recurring_runs", status, times=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.host.BACKOFF_SECONDS", 0.0)
        found, _, err = fl(server, capsys, "list")
    assert (found, sentence in err) == (code, True)


@pytest.mark.parametrize(
    ("cron", "six"),
    [("0 2 * * *", "0 0 2 * * *"), ("*/5 8-18 1,15 JAN-MAR mon", "0 */5 8-18 1,15 JAN-MAR mon"), ("30 0 2 ? * 0-6/2", "30 0 2 ? * 0-6/2")],
)
def test_five_fields_get_a_second_and_six_stay(cron: str, six: str) -> None:
    assert six_fields(cron) == six


@pytest.mark.parametrize(
    "cron", ["", "0 2 * *", "60 2 * * *", "0 24 * * *", "0 2 0 * *", "0 2 * 13 *", "0 2 * * 7", "0 9-8 * * *", "*/0 * * * *", "a * * * *", "-1 * * * *"]
)
def test_a_cron_expression_that_the_server_would_refuse_is_refused_with_the_field(cron: str) -> None:
    with pytest.raises(InputError, match=r"--cron '.*(fields; it has 5|the (minute|hour|day|month|weekday) is)"):
        six_fields(cron)


def test_an_interval_has_a_unit_and_a_least() -> None:
    assert [seconds_of(text) for text in ("90s", "30m", "1h", "2d")] == [90, 1800, 3600, 172_800]
    for text in ("59s", "1", "h", "1w", "-1h"):
        with pytest.raises(InputError, match=f"--every is '{text}'"):
            seconds_of(text)
    with pytest.raises(InputError, match="either --cron or --every"):
        when("0 2 * * *", "1h")


def test_many_namespaces_each_have_their_own_schedules(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FL_KFP_TOKEN", TOKEN)
    with kfp_stub(many=True) as shared:
        assert create(shared, capsys, "--every", "1h", "--namespace", "team-a")[0] == 0
        assert shared.kept["experiments"][0]["namespace"] == "team-a"
        assert connect(shared.url, Access(token=TOKEN), namespace="team-b").get_user_namespace() == "team-b"
