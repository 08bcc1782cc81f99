"""Every rule catches what it is about: the same manifests, broken in one place."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.manifests import rules
from tests.manifests.render import MANIFESTS, Object, containers, pod_spec, render

Break = Callable[[list[Object]], Any]


@cache
def good() -> list[Object]:
    return render(MANIFESTS / "demo")


def find(objects: list[Object], kind: str, name: str) -> Object:
    return next(one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name))


def spec(objects: list[Object]) -> Object:
    found = pod_spec(find(objects, "StatefulSet", "minio"))
    assert found
    return found


def container(objects: list[Object], kind: str = "StatefulSet", name: str = "minio") -> Object:
    return list(containers(find(objects, kind, name)))[-1]


def rule_of(objects: list[Object], name: str = "make-credentials") -> Any:
    return find(objects, "Role", name)["rules"][-1]


def way_of(objects: list[Object], name: str) -> Any:
    return find(objects, "NetworkPolicy", name)["spec"]["egress"][0]


BREACHES: list[tuple[rules.Rule, str, Break]] = [
    (rules.nobody_is_root, "user 0", lambda o: spec(o)["securityContext"].update(runAsUser=0)),
    (rules.nobody_is_root, "no number", lambda o: spec(o)["securityContext"].pop("runAsUser")),
    (rules.nobody_is_root, "may be root", lambda o: spec(o)["securityContext"].pop("runAsNonRoot")),
    (rules.nobody_is_root, "a container as root", lambda o: container(o)["securityContext"].update(runAsUser=0)),
    (rules.pods_are_restricted, "no seccomp", lambda o: spec(o)["securityContext"].pop("seccompProfile")),
    (rules.pods_are_restricted, "escalation", lambda o: container(o)["securityContext"].pop("allowPrivilegeEscalation")),
    (rules.pods_are_restricted, "privileged", lambda o: container(o)["securityContext"].update(privileged=True)),
    (rules.pods_are_restricted, "a capability", lambda o: container(o)["securityContext"]["capabilities"].update(add=["NET_ADMIN"])),
    (rules.pods_are_restricted, "capabilities", lambda o: container(o)["securityContext"].pop("capabilities")),
    (rules.pods_are_restricted, "a root to write to", lambda o: container(o)["securityContext"].pop("readOnlyRootFilesystem")),
    (rules.pods_are_restricted, "an open init container", lambda o: next(containers(find(o, "Job", "submit-federation"))).pop("securityContext")),
    (rules.nothing_of_the_host, "hostNetwork", lambda o: spec(o).update(hostNetwork=True)),
    (rules.nothing_of_the_host, "hostPath", lambda o: spec(o)["volumes"].append({"name": "node", "hostPath": {"path": "/"}})),
    (rules.nothing_of_the_host, "hostPort", lambda o: container(o)["ports"][0].update(hostPort=9000)),
    (rules.images_are_pinned, "latest", lambda o: container(o).update(image="minio/minio:latest")),
    (rules.images_are_pinned, "no tag", lambda o: container(o).update(image="minio/minio")),
    (rules.images_are_pinned, "a port is no tag", lambda o: container(o).update(image="registry:5000/minio")),
    (rules.everything_has_limits, "no limits", lambda o: container(o)["resources"].pop("limits")),
    (rules.everything_has_limits, "no storage", lambda o: container(o)["resources"]["limits"].pop("ephemeral-storage")),
    (rules.everything_has_limits, "no requests", lambda o: container(o).pop("resources")),
    (rules.everything_has_limits, "an endless folder", lambda o: spec(o)["volumes"][0]["emptyDir"].pop("sizeLimit")),
    (rules.scratch_is_mounted, "no /tmp", lambda o: container(o)["volumeMounts"].pop()),
    (rules.rights_are_few, "all verbs", lambda o: rule_of(o).update(verbs=["*"])),
    (rules.rights_are_few, "all resources", lambda o: rule_of(o).update(resources=["*"])),
    (rules.rights_are_few, "all Secrets", lambda o: rule_of(o).pop("resourceNames")),
    (rules.rights_are_few, "a list of Secrets", lambda o: rule_of(o).update(verbs=["get", "list"])),
    (rules.rights_are_few, "the whole cluster", lambda o: find(o, "Role", "make-credentials").update(kind="ClusterRole")),
    (rules.tokens_are_where_rights_are, "a token for MinIO", lambda o: spec(o).pop("automountServiceAccountToken")),
    (rules.namespaces_are_closed, "no label", lambda o: find(o, "Namespace", "paddlefl")["metadata"].pop("labels")),
    (rules.namespaces_are_closed, "no default deny", lambda o: o.remove(find(o, "NetworkPolicy", "default-deny"))),
    (rules.namespaces_are_closed, "deny of one way", lambda o: find(o, "NetworkPolicy", "default-deny")["spec"].update(policyTypes=["Ingress"])),
    (rules.namespaces_are_closed, "a foreign namespace", lambda o: find(o, "StatefulSet", "minio")["metadata"].update(namespace="default")),
    (rules.ways_are_narrow, "all ports", lambda o: way_of(o, "reach-store").pop("ports")),
    (rules.ways_are_narrow, "to everyone", lambda o: way_of(o, "reach-store").pop("to")),
    (rules.ways_are_narrow, "to every pod", lambda o: way_of(o, "reach-store")["to"].append({"namespaceSelector": {}})),
    (rules.ways_are_narrow, "to the metadata", lambda o: way_of(o, "reach-kubernetes")["to"][0]["ipBlock"].pop("except")),
    (rules.no_secret_is_written_down, "a Secret", lambda o: o.append({"kind": "Secret", "metadata": {"name": "s"}, "data": {}})),
    (rules.no_secret_is_written_down, "in a ConfigMap", lambda o: find(o, "ConfigMap", "kfp-launcher")["data"].update(AWS_SECRET_ACCESS_KEY="x")),
    (rules.no_secret_is_written_down, "in env", lambda o: container(o)["env"].append({"name": "MINIO_ROOT_PASSWORD", "value": "minio123"})),
    (rules.the_living_are_probed, "no liveness", lambda o: container(o).pop("livenessProbe")),
    (rules.the_living_are_probed, "no readiness", lambda o: container(o).pop("readinessProbe")),
    (rules.the_living_are_probed, "a task that is never asked", lambda o: container(o, "Job", "submit-federation").update(ports=[{"containerPort": 1}])),
    (rules.tasks_end, "tried for ever", lambda o: find(o, "Job", "make-accounts")["spec"].pop("backoffLimit")),
    (rules.names_are_known, "no scripts", lambda o: o.remove(find(o, "ConfigMap", "store-scripts"))),
    (rules.names_are_known, "no account", lambda o: o.remove(find(o, "ServiceAccount", "make-credentials"))),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "breach"), [pytest.param(rule, breach, id=f"{rule.__name__}: {name}") for rule, name, breach in BREACHES])
def test_a_rule_catches_its_breach(rule: rules.Rule, breach: Break) -> None:
    objects = deepcopy(good())
    assert not list(rule(objects))
    breach(objects)
    assert list(rule(objects))


def test_every_rule_has_a_breach_that_it_catches() -> None:
    assert {rule for rule, _, _ in BREACHES} == set(rules.RULES)


def test_what_the_renderer_does_not_know_is_refused(tmp_path: Path) -> None:
    for text, word in (
        ("namePrefix: x", "namePrefix"),
        ("configMapGenerator: [{name: a, literals: [b=c]}]", "literals"),
        ("patches: [{patch: 'x', target: {kind: Job}}]", "target"),
    ):
        (tmp_path / "kustomization.yaml").write_text(text)
        with pytest.raises(ValueError, match=word):
            render(tmp_path)


def test_a_patch_must_fit_one_object(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("patches: [{path: patch.yaml}]")
    (tmp_path / "patch.yaml").write_text("{apiVersion: v1, kind: Service, metadata: {name: none}}")
    with pytest.raises(ValueError, match="fits 0 objects"):
        render(tmp_path)
