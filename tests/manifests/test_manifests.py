"""All that `kubectl apply -k` would send, checked without a cluster: strictly against the schemas, against our rules, and against the code beside it."""

import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from components import SERVER_IMAGE, WORKER_IMAGE
from fl_core.job import load_job
from fl_core.policy import SERVER
from fl_core.s3_settings import check_endpoint
from pipelines.cli import COMMANDS, _parser
from pipelines.cluster import CREDENTIALS, STORE_SECRET, USER
from tests.manifests.render import MANIFESTS, TARGETS, Object, containers, identity, pod_spec, render
from tests.manifests.rules import RULES, Rule

ROOT = MANIFESTS.parent
KUBERNETES = ("1.28", "1.34")  # the oldest and the newest that they are checked against


@cache
def rendered(target: str) -> list[Object]:
    return render(MANIFESTS / target)


def all_containers() -> list[Object]:
    return [container for target in TARGETS for one in rendered(target) for container in containers(one)]


def test_every_overlay_and_every_entry_is_checked() -> None:
    overlays = {str(path.parent.relative_to(MANIFESTS)) for path in MANIFESTS.glob("*/overlays/*/kustomization.yaml")}
    entries = {str(path.parent.relative_to(MANIFESTS)) for path in MANIFESTS.glob("*/kustomization.yaml")} - {"common", "store", "outside"}
    assert overlays | entries == set(TARGETS)


def test_every_file_is_used_by_a_kustomization() -> None:
    used = set(MANIFESTS.rglob("kustomization.yaml"))
    for path in list(used):
        content = yaml.safe_load(path.read_text())
        names = [*content.get("resources", []), *(entry["path"] for entry in content.get("patches", []))]
        names += [name for entry in content.get("configMapGenerator", []) for name in entry["files"]]
        used |= {(path.parent / name).resolve() for name in names}
    assert {path for path in MANIFESTS.rglob("*") if path.is_file() and "__pycache__" not in path.parts} <= used


def distinct_objects() -> list[Object]:
    """What the targets render, each object once: checking it against the schema takes longest."""
    return list({json.dumps(one, sort_keys=True): one for target in TARGETS for one in rendered(target)}.values())


@pytest.mark.parametrize("version", KUBERNETES)
def test_objects_keep_to_the_schema(version: str) -> None:
    for one in distinct_objects():
        kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("version", KUBERNETES)
def test_a_misspelt_field_is_found(version: str) -> None:
    policy = next(one for one in render(MANIFESTS / "demo") if one["kind"] == "NetworkPolicy")
    policy["spec"]["podSelectr"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(policy, version, strict=True)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("target", TARGETS)
def test_objects_keep_to_the_rules(target: str, rule: Rule) -> None:
    assert list(rule(rendered(target))) == []


@pytest.mark.parametrize("target", TARGETS)
def test_no_object_is_there_twice(target: str) -> None:
    names = [identity(one) for one in rendered(target)]
    assert len(names) == len(set(names))


def test_images_are_those_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    ours = {container["image"] for container in all_containers()} - {"minio/minio:RELEASE.2025-09-07T16-13-09Z"}
    assert ours == {f"paddlefl/server:{version}", f"paddlefl/worker:{version}"} == {SERVER_IMAGE, WORKER_IMAGE}


def test_pods_run_as_the_user_of_the_images() -> None:
    users = {spec["securityContext"]["runAsUser"] for target in TARGETS for one in rendered(target) if (spec := pod_spec(one))}
    assert users == {USER}
    assert f"USER {USER}:{USER}" in (ROOT / "images" / "server.Dockerfile").read_text()


def words(target: str, kind: str, name: str) -> list[str]:
    """The words of the first container of an object."""
    one = next(one for one in rendered(target) if (one["kind"], one["metadata"]["name"]) == (kind, name))
    container = (pod_spec(one) or {})["containers"][0]
    return [*container["command"], *container.get("args", [])]


@pytest.mark.parametrize(
    ("target", "kind", "name"),
    [
        *((target, "Job", role) for target in TARGETS if target.startswith("standalone") for role in ("server", "worker-0", "worker-1")),
        *((target, "Job", "submit-federation") for target in TARGETS if target.startswith("demo")),
    ],
)
def test_the_commands_are_those_of_fl(target: str, kind: str, name: str) -> None:
    line = words(target, kind, name)
    assert line[0] == "fl"
    _parse(line[1:])


@pytest.mark.parametrize("target", ["organisation", "organisation/overlays/minio", "organisation/overlays/s3"])
def test_the_organisation_works_with_the_options_of_fl(target: str) -> None:
    shell, _, script, _, *options = words(target, "Deployment", "worker")
    assert shell == "sh"
    _parse([*script.partition(' "$@"')[0].split()[1:], *options])


def _parse(line: list[str]) -> Any:
    assert line[0] in COMMANDS
    return _parser(line[0]).parse_args(line)


def test_workers_of_the_manifests_are_workers_of_their_jobs() -> None:
    for folder, target, kind, names in (
        ("standalone/base/digits.yaml", "standalone", "Job", ["worker-0", "worker-1"]),
        ("organisation/base/job.yaml", "organisation", "Deployment", ["worker"]),
    ):
        workers = {section.name for section in load_job(MANIFESTS / folder).workers}
        for name in names:
            line = words(target, kind, name)
            assert line[line.index("--worker") + 1] in workers


@pytest.mark.parametrize("copy", ["demo/base/digits.yaml", "standalone/base/digits.yaml", "organisation/base/job.yaml"])
def test_the_jobs_are_the_example(copy: str) -> None:
    assert (MANIFESTS / copy).read_text() == (ROOT / "examples" / "digits.yaml").read_text()


def secrets_asked_for(target: str) -> set[str]:
    """The Secrets that pods take their environment or files from."""
    found = set()
    for one in rendered(target):
        for container in containers(one):
            found |= {source["secretRef"]["name"] for source in container.get("envFrom", [])}
            found |= {entry["valueFrom"]["secretKeyRef"]["name"] for entry in container.get("env", []) if "valueFrom" in entry}
        for volume in (pod_spec(one) or {}).get("volumes", []):
            found |= {source["secret"]["name"] for source in volume.get("projected", {}).get("sources", []) if "secret" in source}
    return found


@pytest.mark.parametrize("target", ["demo", "demo/overlays/standalone-kfp", "standalone"])
def test_the_secrets_that_pods_ask_for_are_made_and_may_be_read_by_their_maker_alone(target: str) -> None:
    line = words(target, "Job", "make-credentials")
    made = {line[i + 1] for i, word in enumerate(line) if word in ("--root", "--account")}
    role = next(one for one in rendered(target) if one["kind"] == "Role" and identity(one)[2:] == ("paddlefl", "make-credentials"))
    assert made == secrets_asked_for(target) == set(role["rules"][-1]["resourceNames"])


def test_runs_find_the_secret_under_the_name_that_pipelines_use() -> None:
    assert STORE_SECRET in secrets_asked_for("demo")
    for target in ("demo", "demo/overlays/s3"):
        launcher = next(one for one in rendered(target) if one["metadata"]["name"] == "kfp-launcher")
        (provider,) = yaml.safe_load(launcher["data"]["providers"]).values()
        assert provider["default"]["credentials"]["secretRef"] == {
            "secretName": STORE_SECRET, "accessKeyKey": CREDENTIALS[0], "secretKeyKey": CREDENTIALS[1]
        }  # fmt: skip
        assert launcher["data"]["defaultPipelineRoot"].startswith("s3://")


@pytest.mark.parametrize("target", ["demo", "demo/overlays/standalone-kfp"])
def test_tasks_learn_where_their_keys_outlive_them_in_a_bucket_that_is_made(target: str) -> None:
    line, accounts = words(target, "Job", "make-credentials"), words(target, "Job", "make-accounts")
    private = line[line.index("--private") + 1].removeprefix("s3://")
    assert private in {accounts[i + 1] for i, word in enumerate(accounts) if word == "--bucket"}


@pytest.mark.parametrize("target", [target for target in TARGETS if target.startswith("demo")])
def test_a_platforms_network_lets_the_demos_namespace_in(target: str) -> None:
    (namespace,) = (one for one in rendered(target) if one["kind"] == "Namespace")
    assert namespace["metadata"]["labels"]["app.kubernetes.io/part-of"] == "kubeflow-profile"


def test_accounts_are_made_for_every_role_of_the_standalone_job() -> None:
    one = next(one for one in rendered("standalone") if identity(one)[3] == "make-accounts")
    volume = next(volume for volume in (pod_spec(one) or {})["volumes"] if volume["name"] == "accounts")
    roles = {item["path"].partition("/")[0] for source in volume["projected"]["sources"] for item in source["secret"]["items"]}
    assert roles == {SERVER, *(section.name for section in load_job(MANIFESTS / "standalone/base/digits.yaml").workers)}


def test_the_endpoint_of_minio_is_one_that_needs_no_https() -> None:
    line = words("demo", "Job", "make-credentials")
    assert check_endpoint(line[line.index("--endpoint") + 1])


def test_a_worker_outside_reaches_the_store_and_names_and_nothing_else() -> None:
    ways = {one["metadata"]["name"]: one["spec"].get("egress") for one in rendered("organisation") if one["kind"] == "NetworkPolicy"}
    assert set(ways) == {"default-deny", "look-up-names", "reach-store"}
    assert [port["port"] for way in ways["reach-store"] for port in way["ports"]] == [443]


def test_manifests_hold_no_host_of_a_registry() -> None:
    for path in (path for path in MANIFESTS.rglob("*.yaml") if path.is_file()):
        for entry in (yaml.safe_load(path.read_text()) or {}).get("images", []) if path.name == "kustomization.yaml" else []:
            assert "." not in entry.get("newName", "").partition("/")[0], Path(path)
