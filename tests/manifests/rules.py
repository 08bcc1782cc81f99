"""What every manifest must keep to. A rule takes the rendered objects and gives a sentence for each breach."""

import re
from collections.abc import Callable, Iterator, Sequence

from tests.manifests.render import Object, containers, pod_spec

Rule = Callable[[Sequence[Object]], Iterator[str]]

AMOUNTS = ("cpu", "memory", "ephemeral-storage")
SECRET_LIKE = re.compile(r"(SECRET|PASSWORD|TOKEN|ACCESS_KEY)", re.IGNORECASE)
NOT_SECRET = ("KF_PIPELINES_SA_TOKEN_PATH",)  # where the token lies, not what it is
LONG_RUNNING = ("Deployment", "StatefulSet", "DaemonSet")


def name_of(one: Object) -> str:
    return f"{one['kind']} {one['metadata']['name']}"


def _pods(objects: Sequence[Object]) -> Iterator[tuple[str, Object]]:
    for one in objects:
        spec = pod_spec(one)
        if spec is not None:
            yield name_of(one), spec


def _containers(objects: Sequence[Object]) -> Iterator[tuple[str, Object]]:
    for one in objects:
        for container in containers(one):
            yield f"{name_of(one)}/{container['name']}", container


def nobody_is_root(objects: Sequence[Object]) -> Iterator[str]:
    for name, spec in _pods(objects):
        context = spec.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or not isinstance(context.get("runAsUser"), int) or context["runAsUser"] < 1:
            yield f"{name} does not say by number that it is not root."
    for name, container in _containers(objects):
        if {"runAsUser", "runAsNonRoot", "runAsGroup"} & set(container.get("securityContext", {})):
            yield f"{name} says again who it is; the pod does."


def pods_are_restricted(objects: Sequence[Object]) -> Iterator[str]:
    """What the Pod Security Standard `restricted` asks for, and a read-only root besides."""
    for name, spec in _pods(objects):
        if spec.get("securityContext", {}).get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{name} has not the seccomp profile RuntimeDefault."
    for name, container in _containers(objects):
        context = container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
            yield f"{name} may gain privileges."
        if context.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{name} keeps capabilities."
        if context.get("readOnlyRootFilesystem") is not True:
            yield f"{name} may write to its image."


def nothing_of_the_host(objects: Sequence[Object]) -> Iterator[str]:
    for name, spec in _pods(objects):
        yield from (f"{name} has {key}." for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key))
        yield from (f"{name} mounts a folder of the node." for volume in spec.get("volumes", []) if "hostPath" in volume)
    for name, container in _containers(objects):
        yield from (f"{name} takes a port of the node." for port in container.get("ports", []) if port.get("hostPort"))


def images_are_pinned(objects: Sequence[Object]) -> Iterator[str]:
    for name, container in _containers(objects):
        tag = container["image"].rpartition("/")[2].partition(":")[2]
        if tag in ("", "latest"):
            yield f"{name} has the image {container['image']}, which is not pinned."


def everything_has_limits(objects: Sequence[Object]) -> Iterator[str]:
    for name, container in _containers(objects):
        for kind in ("requests", "limits"):
            missing = set(AMOUNTS) - set(container.get("resources", {}).get(kind, {}))
            if missing:
                yield f"{name} has no {kind} of {', '.join(sorted(missing))}."
    for name, spec in _pods(objects):
        yield from (f"{name} has an emptyDir without a limit." for v in spec.get("volumes", []) if "emptyDir" in v and not v["emptyDir"].get("sizeLimit"))


def scratch_is_mounted(objects: Sequence[Object]) -> Iterator[str]:
    for one in objects:
        empty = {volume["name"] for volume in (pod_spec(one) or {}).get("volumes", []) if "emptyDir" in volume}
        for container in containers(one):
            if not any(mount["mountPath"] == "/tmp" and mount["name"] in empty for mount in container.get("volumeMounts", [])):
                yield f"{name_of(one)}/{container['name']} has no /tmp to write to."


def rights_are_few(objects: Sequence[Object]) -> Iterator[str]:
    """No wildcard, nothing for the whole cluster, and no Secret that is not named; a name cannot narrow `create`."""
    for one in objects:
        if one["kind"] in ("ClusterRole", "ClusterRoleBinding"):
            yield f"{name_of(one)} gives rights in the whole cluster."
        for rule in one.get("rules", []) if one["kind"] in ("Role", "ClusterRole") else []:
            if "*" in [*rule.get("verbs", []), *rule.get("resources", []), *rule.get("apiGroups", [])]:
                yield f"{name_of(one)} has a wildcard."
            if "secrets" in rule["resources"] and set(rule["verbs"]) != {"create"} and not (rule.get("resourceNames") and set(rule["verbs"]) == {"get"}):
                yield f"{name_of(one)} may do more with Secrets than create some and read those it names."


def tokens_are_where_rights_are(objects: Sequence[Object]) -> Iterator[str]:
    bound = {subject["name"] for one in objects if one["kind"] == "RoleBinding" for subject in one["subjects"]}
    for name, spec in _pods(objects):
        if spec.get("automountServiceAccountToken") is not False and spec.get("serviceAccountName") not in bound:
            yield f"{name} mounts a token of the cluster that it has no use for."


def namespaces_are_closed(objects: Sequence[Object]) -> Iterator[str]:
    """Each of our namespaces is `restricted` and denies what no policy allows; pods run in no other."""
    ours = {one["metadata"]["name"]: one["metadata"].get("labels", {}) for one in objects if one["kind"] == "Namespace"}
    for name, labels in ours.items():
        if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"The namespace {name} does not enforce Pod Security 'restricted'."
        if not any(_denies_all(one) and one["metadata"]["namespace"] == name for one in objects):
            yield f"The namespace {name} has no default deny."
    for one in objects:
        if pod_spec(one) is not None and one["metadata"].get("namespace") not in ours:
            yield f"{name_of(one)} runs in a namespace that is not ours."


def _denies_all(one: Object) -> bool:
    closed = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    return bool(one["kind"] == "NetworkPolicy" and one["spec"] == closed)


def ways_are_narrow(objects: Sequence[Object]) -> Iterator[str]:
    """Each rule says who and on which ports; what goes to any address leaves out clouds' metadata."""
    for one in (one for one in objects if one["kind"] == "NetworkPolicy"):
        for peers, rule in [("from", rule) for rule in one["spec"].get("ingress", [])] + [("to", rule) for rule in one["spec"].get("egress", [])]:
            if not rule.get("ports") or not rule.get(peers):
                yield f"{name_of(one)} opens a way to everyone or on every port."
            for peer in rule.get(peers, []):
                if peer == {"namespaceSelector": {}} or peer == {"podSelector": {}}:
                    yield f"{name_of(one)} opens a way to everyone in the cluster."
                if "ipBlock" in peer and "169.254.0.0/16" not in peer["ipBlock"].get("except", []):
                    yield f"{name_of(one)} leads to the cloud's metadata."


def no_secret_is_written_down(objects: Sequence[Object]) -> Iterator[str]:
    for one in objects:
        if one["kind"] == "Secret":
            yield f"{name_of(one)} is committed."
        if one["kind"] == "ConfigMap":
            yield from (f"{name_of(one)} has the key {key}." for key in one["data"] if SECRET_LIKE.search(key))
    for name, container in _containers(objects):
        for entry in container.get("env", []):
            if SECRET_LIKE.search(entry["name"]) and "value" in entry and entry["name"] not in NOT_SECRET:
                yield f"{name} is given {entry['name']} in the clear."


def the_living_are_probed(objects: Sequence[Object]) -> Iterator[str]:
    """What runs on has all three probes; a task that can be asked, because it has a port, is asked whether it lives."""
    for one in objects:
        for container in (pod_spec(one) or {}).get("containers", []):
            wanted = (
                {"startupProbe", "livenessProbe", "readinessProbe"} if one["kind"] in LONG_RUNNING else {"livenessProbe"} if "ports" in container else set()
            )
            if wanted - set(container):
                yield f"{name_of(one)}/{container['name']} has no {', '.join(sorted(wanted - set(container)))}."


def tasks_end(objects: Sequence[Object]) -> Iterator[str]:
    """A Job is tried again a limited number of times."""
    for one in objects:
        if one["kind"] == "Job" and not isinstance(one["spec"].get("backoffLimit"), int):
            yield f"{name_of(one)} does not say how often it is tried."


def names_are_known(objects: Sequence[Object]) -> Iterator[str]:
    """Accounts, ConfigMaps and volumes that pods name are there."""
    there = {(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects}
    for one in objects:
        spec, space = pod_spec(one) or {}, one["metadata"].get("namespace")
        wanted = [("ServiceAccount", spec["serviceAccountName"])] if "serviceAccountName" in spec else []
        for volume in spec.get("volumes", []):
            wanted += [("ConfigMap", volume["configMap"]["name"])] if "configMap" in volume else []
            wanted += [("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])] if "persistentVolumeClaim" in volume else []
        yield from (f"{name_of(one)} names the {kind} {name}, which is not there." for kind, name in wanted if (kind, space, name) not in there)


RULES: tuple[Rule, ...] = (
    nobody_is_root, pods_are_restricted, nothing_of_the_host, images_are_pinned, everything_has_limits, scratch_is_mounted, rights_are_few,
    tokens_are_where_rights_are, namespaces_are_closed, ways_are_narrow, no_secret_is_written_down, the_living_are_probed, tasks_end, names_are_known,
)  # fmt: skip
