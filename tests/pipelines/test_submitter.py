"""`fl submit --worker` against a server that takes only what Kubernetes' published API allows."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml

from fl_core.errors import FederationError, InputError
from fl_core.job import parse_job
from pipelines import submitter
from pipelines.calls import HostError
from pipelines.cli import main
from pipelines.cluster import STORE_SECRET
from pipelines.submitter import Cluster, apply, delete, follow, of_configuration, open_cluster
from pipelines.worker_pod import Work, config_map, job_object, parse_volume
from tests.jobs import DIGITS
from tests.pipelines.kube_stub import TOKEN, KubeStub, kube_stub

HOSPITALS = """federation={workers: [{name: a, resources: {cpu: 2500m, memory: 3Gi}, kubernetes: {secret: a-store, node_selector: {disk: ssd},
  tolerations: [{key: gpu, operator: Exists}], labels: {team: a, paddlefl/run: forged}, timeout_seconds: 60, image: a/worker:1}}, {name: b},
  {name: c, kubernetes: {secret: {name: s3, env: {id: AWS_ACCESS_KEY_ID}}}}]}"""
JOB = parse_job(DIGITS, [HOSPITALS.replace("\n", " "), "strategy=sub/my.py:mine"], code={"sub/my.py": "def mine(): ..."})
WORK = Work(JOB, JOB.workers[0], "s3://paddlefl/root", "spring")


@pytest.fixture
def server() -> Iterator[KubeStub]:
    with kube_stub() as stub:
        yield stub


def cluster_of(server: KubeStub, namespace: str = "hospital", token: str = TOKEN) -> Cluster:
    config = kubernetes.client.Configuration(host=server.url, api_key={"authorization": f"Bearer {token}"})
    return of_configuration(config, "own", namespace, backoff_seconds=0.0)


def of(work: Work) -> dict[str, Any]:
    """The pod of a worker's Job."""
    return dict(job_object(work)["spec"]["template"]["spec"])


def test_the_pod_is_one_that_pod_security_restricted_lets_in() -> None:
    pod, (container,) = of(WORK), of(WORK)["containers"]
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert pod["volumes"][0]["emptyDir"]["sizeLimit"]
    assert container["resources"]["limits"] == container["resources"]["requests"] == {"cpu": "2500m", "memory": "3Gi", "ephemeral-storage": "1Gi"}


def test_the_pod_keeps_to_what_the_manifests_of_an_organisation_keep_to() -> None:
    documents = yaml.safe_load_all((Path(__file__).parents[2] / "manifests" / "organisation" / "base" / "worker.yaml").read_text())
    theirs = next(one for one in documents if one["kind"] == "Deployment")["spec"]["template"]
    ours = job_object(WORK)["spec"]["template"]
    for key in ("securityContext", "automountServiceAccountToken"):
        assert ours["spec"][key] == theirs["spec"][key]
    assert ours["spec"]["containers"][0]["securityContext"] == theirs["spec"]["containers"][0]["securityContext"]
    assert ours["metadata"]["labels"]["reaches-store"] == theirs["metadata"]["labels"]["reaches-store"]
    assert theirs["spec"]["containers"][0]["envFrom"][0]["secretRef"]["name"] == STORE_SECRET


def test_what_the_job_asks_for_reaches_the_pod_but_not_our_labels() -> None:
    pod, template = of(WORK), job_object(WORK)["spec"]["template"]
    (container,) = pod["containers"]
    assert (pod["nodeSelector"], pod["tolerations"]) == ({"disk": "ssd"}, [{"key": "gpu", "operator": "Exists"}])
    assert (container["image"], job_object(WORK)["spec"]["activeDeadlineSeconds"]) == ("a/worker:1", 60)
    assert (template["metadata"]["labels"]["team"], template["metadata"]["labels"]["paddlefl/run"]) == ("a", "spring")
    assert container["args"][-2:] == ["--processes", "2"]


def test_secrets_are_references_only_and_those_of_pipelines() -> None:
    named, default, own = (of(replace(WORK, section=section))["containers"][0]["env"] for section in JOB.workers)
    assert named[0] == {"name": "AWS_ACCESS_KEY_ID", "valueFrom": {"secretKeyRef": {"name": "a-store", "key": "AWS_ACCESS_KEY_ID"}}}
    assert all(one["valueFrom"]["secretKeyRef"]["name"] == "paddlefl-store" and one["valueFrom"]["secretKeyRef"]["optional"] for one in default)
    assert own == [{"name": "AWS_ACCESS_KEY_ID", "valueFrom": {"secretKeyRef": {"name": "s3", "key": "id"}}}]
    assert all(set(one) == {"name", "valueFrom"} for one in named + default + own)


def test_job_file_and_code_are_mounted_where_the_job_looks_for_them() -> None:
    data, (_, source) = config_map(WORK)["data"], of(WORK)["volumes"]
    assert {item["path"]: data[item["key"]] for item in source["configMap"]["items"]} == {"job.yaml": JOB.text, "sub/my.py": "def mine(): ..."}
    assert all(re.fullmatch(r"[-._a-zA-Z0-9]+", key) for key in data)


def test_volumes_are_claims_of_the_organisation() -> None:
    work = replace(WORK, volumes=(parse_volume("data:/data:ro"), parse_volume("keys:/private")), private="/private")
    assert of(work)["volumes"][2] == {"name": "volume-0", "persistentVolumeClaim": {"claimName": "data", "readOnly": True}}
    assert of(work)["containers"][0]["volumeMounts"][3] == {"name": "volume-1", "mountPath": "/private", "readOnly": False}
    for text, why in (("data", "such as hospital-data:/data:ro"), ("data:/tmp", "/tmp is taken")):
        with pytest.raises(InputError, match=why):
            parse_volume(text)


def test_names_that_read_the_same_stay_apart_and_fit() -> None:
    first, second = replace(WORK, run="a.b"), replace(WORK, run="a-b")
    long = replace(WORK, run="R" * 63)
    assert len({first.name, second.name, long.name}) == 3
    assert all(re.fullmatch(r"[a-z][a-z0-9-]{0,61}", work.name) for work in (first, second, long))


def test_submitting_again_changes_nothing_scales_what_runs_and_restarts_what_failed(server: KubeStub) -> None:
    cluster = cluster_of(server)
    assert [apply(cluster, WORK), apply(cluster, WORK), apply(cluster, replace(WORK, processes=3))] == ["created", "unchanged", "scaled"]
    assert server.kept["jobs"][WORK.name]["spec"]["parallelism"] == 3
    with pytest.raises(InputError, match="Worker 'a' runs in hospital with another job, image or setting; stop it with --delete first"):
        apply(cluster, replace(WORK, image="other:1"))
    server.end(WORK.name, "Failed")
    assert apply(cluster, replace(WORK, image="other:1")) == "restarted"
    assert server.kept["jobs"][WORK.name]["spec"]["template"]["spec"]["containers"][0]["image"] == "other:1"
    server.end(WORK.name, "Complete")
    assert apply(cluster, replace(WORK, image="other:1")) == "unchanged"


def test_a_job_that_is_still_going_is_waited_for(server: KubeStub) -> None:
    naps: list[float] = []
    server.fail("POST jobs", 409, "object is being deleted", times=2)
    assert apply(cluster_of(server), WORK, sleep=naps.append) == "created"
    assert naps == [1.0, 1.0]


def test_deleting_takes_what_was_made_for_the_worker_and_nothing_else(server: KubeStub) -> None:
    cluster, other = cluster_of(server), replace(WORK, section=JOB.workers[1])
    apply(cluster, WORK)
    apply(cluster, other)
    assert delete(cluster, "spring", "a") == [f"job/{WORK.name}", f"configmap/{WORK.name}"]
    assert (list(server.kept["jobs"]), list(server.kept["configmaps"])) == ([other.name], [other.name])
    assert delete(cluster, "spring", "a") == []


def pod(name: str, **status: Any) -> dict[str, Any]:
    metadata = {"name": name, "labels": job_object(WORK)["spec"]["template"]["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [{"name": "work"}]}, "status": status}


def container(state: dict[str, Any], restarts: int = 0) -> dict[str, Any]:
    return {"name": "work", "state": state, "restartCount": restarts, "ready": False, "image": "i", "imageID": "i"}


def test_logs_are_followed_through_restarts_to_the_jobs_end(server: KubeStub) -> None:
    cluster, told = cluster_of(server), []
    apply(cluster, WORK)
    server.kept["pods"]["p"] = pod("p", containerStatuses=[container({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})])
    server.logs["p"] = "a: round 1\na: round 2"

    def later(seconds: float) -> None:
        if len(told) == 1:
            server.kept["pods"]["p"]["status"]["containerStatuses"] = [container({"running": {}})]
        elif len(told) == 3:
            server.kept["pods"]["p"]["status"]["containerStatuses"] = [container({"terminated": {"exitCode": 0}}, restarts=1)]
            server.logs["p"] = "a: the run ended"
            server.end(WORK.name, "Complete")

    follow(cluster, WORK, told.append, sleep=later)
    assert told == ["waits: ImagePullBackOff: no such image", "a: round 1", "a: round 2", "a: the run ended"]


def test_a_worker_that_failed_or_never_starts_or_is_gone_is_an_error(server: KubeStub, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = cluster_of(server)
    with pytest.raises(HostError, match="is gone from hospital; submit the worker again"):
        follow(cluster, WORK, print)
    apply(cluster, WORK)
    unscheduled = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
    server.kept["pods"]["p"] = pod("p", conditions=[unscheduled])
    monkeypatch.setattr(submitter, "PENDING_SECONDS_MAX", 5.0)
    with pytest.raises(HostError, match="No pod of worker 'a' started within 5 seconds: 0/3 nodes are available"):
        follow(cluster, WORK, print, sleep=lambda seconds: None)
    server.end(WORK.name, "Failed", reason="BackoffLimitExceeded")
    with pytest.raises(HostError, match="Worker 'a' failed in hospital: BackoffLimitExceeded; submit it again to go on"):
        follow(cluster, WORK, print)


REFUSALS = [
    (400, InputError, "takes the request for wrong (400): said so."),
    (401, HostError, "does not know who you are (own, 401)"),
    (403, HostError, "You may not do this in namespace 'hospital' of own (403): said so; ask"),
    (422, InputError, "takes the worker's settings for wrong (422): said so."),
    (429, HostError, "too much to do (429)"),
    (500, HostError, "Kubernetes failed (500): said so; try again later."),
]


@pytest.mark.parametrize(("status", "kind", "sentence"), REFUSALS, ids=[str(one[0]) for one in REFUSALS])
def test_what_kubernetes_refuses_is_one_sentence(server: KubeStub, status: int, kind: type[FederationError], sentence: str) -> None:
    server.fail("POST jobs", status)
    with pytest.raises(kind) as caught:
        apply(cluster_of(server), WORK)
    assert sentence in str(caught.value)


def test_quota_a_wrong_namespace_a_wrong_token_and_a_dead_cluster_are_told_apart(server: KubeStub) -> None:
    server.fail("POST jobs", 403, "exceeded quota: team, requested: cpu=2")
    with pytest.raises(HostError, match=r"There is no room in namespace 'hospital' of own \(403\): exceeded quota"):
        apply(cluster_of(server), WORK)
    with pytest.raises(InputError, match=r"check --namespace and --context"):
        apply(cluster_of(server, namespace="elsewhere"), WORK)
    with pytest.raises(HostError, match="log in to the cluster again"):
        apply(cluster_of(server, token="old"), WORK)
    server.shutdown()
    server.server_close()
    with pytest.raises(HostError, match=r"Kubernetes at own cannot be reached \(.*\); is the cluster up"):
        apply(cluster_of(server), WORK)


def test_reading_is_tried_again(server: KubeStub) -> None:
    server.fail("GET jobs", 503, times=3)
    assert apply(cluster_of(server), WORK) == "created"


def test_the_stub_refuses_a_misspelt_field_as_the_server_does(server: KubeStub) -> None:
    wrong = job_object(WORK)
    wrong["spec"]["template"]["spec"]["nodeSelectr"] = {}
    with pytest.raises(kubernetes.client.ApiException) as caught:
        cluster_of(server).batch.create_namespaced_job("hospital", wrong)
    assert (caught.value.status, "nodeSelectr" in caught.value.body) == (422, True)


@pytest.fixture
def context(server: KubeStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kubeconfig with one context, in which the stub stands."""
    content = {
        "apiVersion": "v1", "kind": "Config", "clusters": [{"name": "c", "cluster": {"server": server.url}}],
        "users": [{"name": "u", "user": {"token": TOKEN}}], "contexts": [{"name": "own", "context": {"cluster": "c", "user": "u"}}], "current-context": "own",
    }  # fmt: skip
    (tmp_path / "config").write_text(yaml.safe_dump(content))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
    (tmp_path / "job.yaml").write_text(DIGITS)
    return str(tmp_path / "job.yaml")


def test_the_command_starts_and_stops_a_worker(server: KubeStub, context: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["submit", context, "--worker", "worker-0", "--run", "spring", "--namespace", "hospital", "--context", "own"]
    assert main([*words, "--store", "s3://paddlefl/root", "--json"]) == 0
    out, err = capsys.readouterr()
    (name,) = server.kept["jobs"]
    assert json.loads(out) == {"job": name, "namespace": "hospital", "done": "created"}
    assert err == "There is no --private: this worker's key and its clients' memory end with its pod.\n"
    assert main([*words, "--delete"]) == 0
    assert capsys.readouterr().out == f"job/{name}\nconfigmap/{name}\n"
    assert server.kept["jobs"] == {}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--run", "", "--namespace", "hospital"], "--run is missing"),
        (["--run", "spring"], "--namespace is missing"),
        (["--run", "spring", "--namespace", "hospital", "--processes", "0"], "--processes is 0; a worker has 1 to 100 pods."),
        (["--run", "spring", "--namespace", "hospital", "--worker", "worker-7"], "The federation has no worker 'worker-7'"),
        (["--run", "spring", "--namespace", "hospital", "--context", "other"], "--context is 'other', which the kubeconfig does not give"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_asked(
    server: KubeStub, context: str, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", context, "--worker", "worker-0", "--store", "s3://paddlefl/root", *words]) == 2
    assert sentence in capsys.readouterr().err
    assert server.asked == []


def test_a_context_that_is_not_there_is_an_input_error(context: str) -> None:
    with pytest.raises(InputError, match="--context is 'nowhere'"):
        open_cluster("nowhere", "hospital")
