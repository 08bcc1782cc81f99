"""`fl submit` against a server that takes only what the published API of Kubeflow Pipelines allows."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp_server_api import ApiException

from fl_core.errors import FederationError, InputError
from fl_core.job import Job
from fl_core.run_folder import MANIFEST, close_key, metrics_key
from pipelines import submit as submission
from pipelines.calls import HostError, said_in
from pipelines.cli import main
from pipelines.kfp_client import Access, called, connect, every, explained
from pipelines.submit import follow, submit, upload
from tests.jobs import DIGITS, tiny_job
from tests.pipelines.kfp_stub import COOKIE, OPERATIONS, TOKEN, KfpStub, Refused, check, kfp_stub

STORE = "s3://paddlefl/root"
ADA = Access(token=TOKEN)


@pytest.fixture
def server() -> Iterator[KfpStub]:
    with kfp_stub() as stub:
        yield stub


@pytest.fixture
def job_file(tmp_path: Path) -> str:
    (tmp_path / "job.yaml").write_text(DIGITS)
    return str(tmp_path / "job.yaml")


def client_of(server: KfpStub, access: Access = ADA, namespace: str = "") -> Any:
    return connect(server.url, access, namespace=namespace, backoff_seconds=0.0)


def submitted(server: KfpStub, job: Job, **about: Any) -> Any:
    with explained(server.url):
        return submit(client_of(server), job, store=STORE, **about)


def test_a_job_becomes_a_pipeline_with_a_version_an_experiment_and_a_run_with_its_parameters(server: KfpStub) -> None:
    job = tiny_job()
    begun = submitted(server, job, run="spring", service_account="trainer")
    (pipeline,), (version,), (run,) = server.kept["pipelines"], server.kept["pipeline_versions"], server.kept["runs"]
    assert (pipeline["display_name"], server.kept["experiments"][0]["display_name"]) == ("tiny", "tiny")
    assert version["name"].startswith(job.digest[:12])
    assert run["runtime_config"]["parameters"] == {"store": STORE, "run": "spring"}
    assert (run["display_name"], run["service_account"]) == ("spring", "trainer")
    assert begun.url == f"{server.url}/#/runs/details/{run['run_id']}"


def test_the_layout_live_is_submitted_with_the_same_parameters(server: KfpStub) -> None:
    begun = submitted(server, tiny_job(), run="spring", layout="live")
    assert begun.version.choice.layout == "live"
    assert server.kept["runs"][0]["runtime_config"]["parameters"] == {"store": STORE, "run": "spring"}


def test_the_same_job_uses_the_version_that_is_there_and_another_job_or_layout_uploads_one(server: KfpStub) -> None:
    client = client_of(server)
    first, again, other, live = upload(client, tiny_job()), upload(client, tiny_job()), upload(client, tiny_job("rounds=2")), upload(client, tiny_job(), "live")
    assert (first.new, again.new, other.new, live.new) == (True, False, True, True)
    assert first.version_id == again.version_id
    assert len(server.kept["pipelines"]) == 1
    assert live.name.partition("-")[0] == first.name.partition("-")[0]


def test_a_pipeline_that_somebody_else_makes_meanwhile_is_used(server: KfpStub, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(server)
    upload(client, tiny_job())
    find = submission._find_pipeline
    looks = iter(["", "there"])
    monkeypatch.setattr(submission, "_find_pipeline", lambda client, name: find(client, name) if next(looks) else "")
    assert upload(client, tiny_job()).pipeline_id == "pipelines-1"
    assert server.asked.count("pipeline_service_create_pipeline") == 2


def test_a_version_is_found_on_a_later_page(server: KfpStub) -> None:
    client = client_of(server)
    for rounds in (1, 2, 3):
        upload(client, tiny_job(f"rounds={rounds}"))
    server.asked.clear()
    names = [one.name for one in every(client.list_pipeline_versions, "pipeline_versions", pipeline_id="pipelines-1")]
    assert len(set(names)) == 3
    assert server.asked == ["pipeline_service_list_pipeline_versions"] * 2


@pytest.mark.parametrize("access", [ADA, Access(cookies=COOKIE)], ids=["token", "cookies"])
def test_a_token_or_cookies_say_who_one_is(server: KfpStub, access: Access) -> None:
    assert list(every(client_of(server, access).list_pipelines, "pipelines")) == []


def test_a_token_file_is_read_again_for_every_call(server: KfpStub, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    client = client_of(server, Access(token_file=str(file)))
    assert list(every(client.list_pipelines, "pipelines")) == []
    file.write_text("expired")
    with pytest.raises(HostError, match="does not know who you are"), explained(server.url):
        list(every(client.list_pipelines, "pipelines"))


def test_a_pod_shows_the_token_that_its_cluster_projects(
    server: KfpStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.delenv("FL_KFP_TOKEN", raising=False)
    monkeypatch.delenv("KF_PIPELINES_SA_TOKEN_PATH", raising=False)
    assert main(["doctor", "--host", server.url]) == 1
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "token"))
    assert main(["doctor", "--host", server.url]) == 0
    assert main(["doctor", "--host", server.url, "--token-file", str(tmp_path / "none")]) == 1
    assert "cannot be read; --token-file holds a bearer token" in capsys.readouterr().out


REFUSALS = [
    (400, InputError, "takes the request for wrong (400): said so."),
    (401, HostError, "does not know who you are (401); give a token in FL_KFP_TOKEN"),
    (403, HostError, "does not let you do this in its namespace (403): said so; ask its administrator"),
    (404, InputError, "does not have what was asked for in its namespace (404): said so; check --namespace and --host."),
    (409, HostError, "has it already (409): said so; choose another name"),
    (413, HostError, "takes nothing so large (413)"),
    (429, HostError, "has no room for it now (429): said so; wait, or ask"),
    (302, HostError, "sends you to a login page (302)"),
    (500, HostError, "failed (500): said so; try again"),
]


@pytest.mark.parametrize(("status", "kind", "sentence"), REFUSALS, ids=[str(one[0]) for one in REFUSALS])
def test_what_the_server_refuses_is_one_sentence_with_the_way_out(server: KfpStub, status: int, kind: type[FederationError], sentence: str) -> None:
    client = client_of(server)
    server.fail("run_service_get_run", status, times=4)
    with pytest.raises(kind) as caught, explained(server.url):
        client.get_run("runs-1")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_quota_is_named_whatever_the_status(server: KfpStub) -> None:
    client = client_of(server)
    server.fail("run_service_get_run", 403, "pods is forbidden: exceeded quota: team")
    with pytest.raises(HostError, match=r"no room for it now \(403\): pods is forbidden: exceeded quota"), explained(server.url):
        client.get_run("runs-1")


def test_what_only_reads_is_tried_again_and_what_creates_is_not(server: KfpStub) -> None:
    client = client_of(server)
    server.fail("pipeline_service_list_pipelines", 500, times=2)
    server.fail("pipeline_service_list_pipelines", "drop")
    assert list(every(client.list_pipelines, "pipelines")) == []
    server.fail("pipeline_service_list_pipelines", 503, times=4)
    with pytest.raises(HostError, match=r"failed \(503\)"), explained(server.url):
        list(every(client.list_pipelines, "pipelines"))
    server.fail("run_service_create_run", "drop")
    with pytest.raises(HostError, match="cannot be reached"):
        submitted(server, tiny_job())
    assert server.kept["runs"] == []


def test_a_host_that_is_not_there_is_named_with_the_port_forward() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(HostError, match=r"cannot be reached \(.*Connection refused.*\); is the port-forward running"):
        connect(url, ADA, backoff_seconds=0.0)
    with pytest.raises(InputError, match="--host is 'kubeflow'; it is a URL"):
        connect("kubeflow")


def test_a_server_that_hangs_is_given_up(server: KfpStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.calls.ANSWER_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(HostError, match="did not answer within"):
        connect(f"http://127.0.0.1:{deaf.getsockname()[1]}", ADA, backoff_seconds=0.0)


def test_namespaces_are_asked_for_where_there_are_many_and_refused_where_there_is_one(server: KfpStub) -> None:
    with pytest.raises(InputError, match="--namespace is 'team-a', but this Kubeflow Pipelines serves one namespace"):
        client_of(server, namespace="team-a")
    with kfp_stub(many=True) as shared:
        with pytest.raises(InputError, match="serves many namespaces; say which is yours with --namespace"):
            client_of(shared)
        with explained(shared.url, "team-a"):
            submit(client_of(shared, namespace="team-a"), tiny_job(), store=STORE)
        assert {one["namespace"] for what in ("experiments", "pipelines") for one in shared.kept[what]} == {"team-a"}
        with pytest.raises(HostError, match=r"in namespace 'elsewhere' \(403\)"), explained(shared.url, "elsewhere"):
            submit(client_of(shared, namespace="elsewhere"), tiny_job(), store=STORE)


def test_a_run_is_followed_to_its_end(server: KfpStub) -> None:
    begun, client = submitted(server, tiny_job()), client_of(server)
    server.states, looks, naps = ["PENDING", "RUNNING", "CANCELED"], [], []
    ended = follow(client, begun.run_id, lambda run: looks.append(run.state), sleep=naps.append)
    assert (ended.state, looks, naps) == ("CANCELED", ["PENDING", "RUNNING", "CANCELED"], [5.0, 5.0])
    server.states = ["RUNNING"]
    with pytest.raises(HostError, match="goes on after 10 seconds of waiting"):
        follow(client, begun.run_id, looks.append, sleep=naps.append, wait_seconds=10.0)


@pytest.fixture
def environment(server: KfpStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FL_KFP_TOKEN", TOKEN)
    monkeypatch.setattr(submission, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(submission.follow, "__kwdefaults__", {**submission.follow.__kwdefaults__, "poll_seconds": 0.0})


def test_the_command_prints_the_link_and_with_json_one_object(server: KfpStub, environment: None, job_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["submit", job_file, "--host", server.url, "--store", STORE, "--run", "spring"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert out == f"{server.url}/#/runs/details/runs-1\n"
    assert "layout unrolled: 3 rounds with 2 workers" in err
    assert main([*words, "--wait", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["run"], told["state"], told["layout"]) == ("spring", "SUCCEEDED", "unrolled")


def test_a_run_that_fails_names_its_failed_tasks_and_the_way_to_go_on(
    server: KfpStub, environment: None, job_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.states = ["RUNNING", "FAILED"]
    server.task_details = [
        {"task_id": "1", "display_name": "Round 1: select", "state": "SUCCEEDED"},
        {"task_id": "2", "display_name": "Round 1: train at worker-1", "state": "FAILED"},
    ]
    assert main(["submit", job_file, "--host", server.url, "--store", STORE, "--run", "spring", "--wait"]) == 1
    err = capsys.readouterr().err
    assert "spring running, 1 of 2 tasks done" in err
    assert "The run is failed, failed: Round 1: train at worker-1; see " in err
    assert "`--run spring`" in err


def test_ctrl_c_leaves_the_run_going_and_says_how_to_come_back(
    server: KfpStub, environment: None, job_file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*words: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(submission, "follow", interrupt)
    with pytest.raises(SystemExit) as ended:
        main(["submit", job_file, "--host", server.url, "--store", STORE, "--run", "spring", "--wait"])
    assert ended.value.code == 130
    assert f"The run goes on: look at it at {server.url}/#/runs/details/runs-1, or with `fl status {STORE}/runs/spring`." in capsys.readouterr().err
    assert len(server.kept["runs"]) == 1


@pytest.mark.parametrize("store", ["", "file://store"])
def test_a_store_that_pods_do_not_share_is_refused_before_anything_is_asked(
    server: KfpStub, environment: None, job_file: str, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", job_file, "--host", server.url, "--store", store]) == 2
    assert capsys.readouterr().err == f"--store is '{store}'; pods meet in a store that all of them reach, such as s3://bucket/prefix.\n"
    assert server.asked == []


class FakeRun:
    """A run of which only some records are there."""

    def __init__(self, records: dict[str, Any]) -> None:
        self.records, self.job, self.store, self.uri = records, tiny_job(), self, "memory:"

    def exists(self, key: str) -> bool:
        return key in self.records

    def find(self, key: str) -> Any:
        return self.records.get(key)

    def last_round(self) -> int:
        return sum(key.endswith("close.json") for key in self.records) + 1


def test_rounds_are_told_once_each_when_they_are_closed_and_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    closed, told = {"clients": {"client-0": {"seen": 40}}}, []
    run = FakeRun({MANIFEST: {}})
    monkeypatch.setattr(submission, "place_of", lambda *where: run)
    monkeypatch.setattr(submission, "open_run", lambda uri: run)
    rounds = submission.Rounds(STORE, "spring", told.append)
    rounds.look()
    run.records[close_key(1)] = closed
    rounds.look()
    assert told == []
    run.records[metrics_key(2)] = {"metrics": {"accuracy": 0.75}}
    rounds.look()
    run.records |= {close_key(2): closed, close_key(3): closed}
    rounds.look()
    run.records["summary.json"] = {}
    rounds.look()
    assert told == ["tiny 1/3 accuracy 0.75 40 examples", "tiny 2/3 40 examples", "tiny 3/3 40 examples"]


def test_a_store_that_cannot_be_read_from_here_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(store: str, run: str) -> Any:
        raise HostError("it is behind a wall.")

    monkeypatch.setattr(submission, "place_of", unreadable)
    told: list[str] = []
    rounds = submission.Rounds(STORE, "spring", told.append)
    rounds.look()
    rounds.look()
    assert told == ["Rounds and metrics are not shown, because the store cannot be read from here: it is behind a wall."]


def test_the_doctor_says_what_a_host_lets_one_do(server: KfpStub, environment: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--host", server.url]) == 0
    out = capsys.readouterr().out
    assert f"ok    host: {server.url} answers; one namespace, its own; pipelines are kept in: database" in out
    assert "ok    schedules: 0 there" in out
    server.fail("run_service_list_runs", 403)
    assert main(["doctor", "--host", server.url, "--json"]) == 1
    findings = {one["name"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
    assert [name for name, one in findings.items() if not one["good"]] == ["runs"]
    assert "(403)" in findings["runs"]["text"]
    assert set(server.asked) & {"run_service_create_run", "experiment_service_create_experiment"} == set()
    assert main(["doctor", "--host", server.url, "--namespace", "team-a"]) == 1
    assert "MISS  host: --namespace is 'team-a'" in capsys.readouterr().out


def test_the_stub_refuses_what_the_published_api_does_not_know(server: KfpStub) -> None:
    client = client_of(server)
    with pytest.raises(ApiException) as unknown:
        client._run_api.api_client.call_api(
            "/apis/v2beta1/runs", "POST", header_params={"Content-Type": "application/json"}, body={"displayNam": "x"}, auth_settings=["Bearer"]
        )  # fmt: skip
    assert (unknown.value.status, said_in(unknown.value.body)) == (400, 'proto: unknown field "displayNam"')
    for wrong in ({"display_name": 3}, {"runtime_config": []}, {"state": "FINISHED"}, {"runtime_config": {"parameters": {}, "root": ""}}):
        with pytest.raises(Refused):
            check(wrong, "V2beta1Run", "run")
    check({"displayName": "x", "state": "RUNNING", "runtime_config": {"parameters": {"run": 1}}}, "V2beta1Run", "run")
    check(json.loads(called("x")), "V2beta1Filter", "filter")
    assert {"run_service_create_run", "upload_pipeline_version"} <= {operation.name for operation in OPERATIONS}
