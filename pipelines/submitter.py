"""FL-Submitter: runs a worker's `fl work` in an organisation's own cluster, as a Kubernetes Job with the job file beside it."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import kubernetes
import urllib3
from kubernetes.client.exceptions import ApiException

from fl_core.errors import FederationError, InputError
from pipelines.calls import BACKOFF_SECONDS, HostError, bound, retries, said_in, unreached
from pipelines.worker_pod import SPEC, Work, config_map, job_object, label_selector

PENDING_SECONDS_MAX, FOLLOW_SECONDS_MAX, POLL_SECONDS = 900.0, 604_800.0, 5.0
STREAM_SECONDS = 3600
CREATIONS_MAX = 30
CONFLICT, MISSING = 409, 404

Tell = Callable[[str], None]
Sleep = Callable[[float], None]


@dataclass(frozen=True)
class Cluster:
    """An organisation's namespace in its cluster, and the two of Kubernetes' interfaces that are needed there."""

    context: str
    namespace: str
    core: Any
    batch: Any


def open_cluster(context: str, namespace: str, *, backoff_seconds: float = BACKOFF_SECONDS) -> Cluster:
    """The cluster of a kubeconfig's context (the current one where empty), or the one that this process runs in where there is no kubeconfig."""
    config = kubernetes.client.Configuration()
    try:
        kubernetes.config.load_kube_config(context=context or None, client_configuration=config)
    except kubernetes.config.ConfigException as error:
        try:
            if context:
                raise error
            kubernetes.config.load_incluster_config(client_configuration=config)
        except kubernetes.config.ConfigException:
            said = str(error).strip().rstrip(".")
            raise InputError(f"--context is '{context}', which the kubeconfig does not give: {said}; see `kubectl config get-contexts`.") from error
    return of_configuration(config, context, namespace, backoff_seconds=backoff_seconds)


def of_configuration(config: Any, context: str, namespace: str, *, backoff_seconds: float = BACKOFF_SECONDS) -> Cluster:
    """The cluster that a client's configuration speaks of, every call to which ends."""
    config.retries = retries(backoff_seconds)
    api = kubernetes.client.ApiClient(config)
    bound(api)
    return Cluster(context or config.host, namespace, kubernetes.client.CoreV1Api(api), kubernetes.client.BatchV1Api(api))


def apply(cluster: Cluster, work: Work, *, sleep: Sleep = time.sleep) -> str:
    """Makes the worker's Job what `work` says, however often it is called: `created`, `unchanged`, `scaled` or, after it had ended, `restarted`.

    InputError where it runs with other settings: a running Job cannot be changed, and this does not stop it unasked.
    """
    wanted = job_object(work)
    with explained(cluster):
        there = _read(cluster, work)
        if there is not None and not _ended(there):
            return _keep(cluster, work, there, wanted)
        if there is not None and _complete(there) and _spec(there) == wanted["metadata"]["annotations"][SPEC]:
            return "unchanged"
        if there is not None:
            cluster.batch.delete_namespaced_job(work.name, cluster.namespace, propagation_policy="Background")
        _put_config_map(cluster, work)
        _create(cluster, wanted, sleep)
    return "created" if there is None else "restarted"


def _keep(cluster: Cluster, work: Work, there: Any, wanted: Mapping[str, Any]) -> str:
    if _spec(there) != wanted["metadata"]["annotations"][SPEC]:
        raise InputError(
            f"Worker '{work.section.name}' runs in {cluster.namespace} with another job, image or setting; stop it with --delete first, then submit it again."
        )
    if there.spec.parallelism == work.processes:
        return "unchanged"
    cluster.batch.patch_namespaced_job(work.name, cluster.namespace, {"spec": {"parallelism": work.processes}})
    return "scaled"


def _read(cluster: Cluster, work: Work) -> Any:
    try:
        return cluster.batch.read_namespaced_job(work.name, cluster.namespace)
    except ApiException as error:
        if error.status != MISSING:
            raise
        return None


def _put_config_map(cluster: Cluster, work: Work) -> None:
    body = config_map(work)
    try:
        cluster.core.create_namespaced_config_map(cluster.namespace, body)
    except ApiException as error:
        if error.status != CONFLICT:
            raise
        cluster.core.replace_namespaced_config_map(work.name, cluster.namespace, body)


def _create(cluster: Cluster, wanted: Mapping[str, Any], sleep: Sleep) -> None:
    """Creates the Job; one of its name that was just deleted may take a moment to go."""
    for attempt in range(1, CREATIONS_MAX + 1):
        try:
            cluster.batch.create_namespaced_job(cluster.namespace, wanted)
            return
        except ApiException as error:
            if error.status != CONFLICT or attempt == CREATIONS_MAX:
                raise
            sleep(1.0)


def delete(cluster: Cluster, run: str, worker: str) -> list[str]:
    """Deletes what this made for a worker of a run, found by its labels; gives the names of what went."""
    selector, gone = label_selector(run, worker), []
    with explained(cluster):
        for one in cluster.batch.list_namespaced_job(cluster.namespace, label_selector=selector).items:
            cluster.batch.delete_namespaced_job(one.metadata.name, cluster.namespace, propagation_policy="Background")
            gone.append(f"job/{one.metadata.name}")
        for one in cluster.core.list_namespaced_config_map(cluster.namespace, label_selector=selector).items:
            cluster.core.delete_namespaced_config_map(one.metadata.name, cluster.namespace)
            gone.append(f"configmap/{one.metadata.name}")
    return gone


def follow(cluster: Cluster, work: Work, tell: Tell, *, sleep: Sleep = time.sleep) -> None:
    """Tells the lines that the worker's pods write until its Job has ended; HostError where it failed, or no pod of it starts."""
    seen: set[tuple[str, int]] = set()
    waited, reason = 0.0, ""
    while waited < FOLLOW_SECONDS_MAX:
        with explained(cluster):
            there = _read(cluster, work)
            pods = cluster.core.list_namespaced_pod(cluster.namespace, label_selector=label_selector(work.run, work.section.name)).items
            for name, restarts in _running(pods):
                if (name, restarts) not in seen:
                    seen.add((name, restarts))
                    _stream(cluster, name, tell)
        if there is None:
            raise HostError(f"The Job '{work.name}' is gone from {cluster.namespace}; submit the worker again.")
        if _ended(there):
            if not _complete(there):
                raise HostError(f"Worker '{work.section.name}' failed in {cluster.namespace}: {_why_failed(there)}; submit it again to go on.")
            return
        new = _why_waiting(pods)
        if new and new != reason:
            tell(f"waits: {new}")
        reason = new
        if not seen and waited >= PENDING_SECONDS_MAX:
            raise HostError(f"No pod of worker '{work.section.name}' started within {PENDING_SECONDS_MAX:.0f} seconds: {reason or 'nothing was scheduled'}.")
        sleep(POLL_SECONDS)
        waited += POLL_SECONDS


def _stream(cluster: Cluster, pod: str, tell: Tell) -> None:
    response = cluster.core.read_namespaced_pod_log(
        pod, cluster.namespace, container="work", follow=True, _preload_content=False, _request_timeout=(10, STREAM_SECONDS)
    )  # fmt: skip
    try:
        rest = b""
        for part in response.stream():
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                tell(line.decode(errors="replace"))
        if rest:
            tell(rest.decode(errors="replace"))
    except urllib3.exceptions.HTTPError:
        return  # the stream broke; the pod's next life, or the Job's end, is seen at the next look
    finally:
        response.release_conn()


def _running(pods: list[Any]) -> Iterator[tuple[str, int]]:
    """The pods that have something to say, each with how often it was restarted."""
    for pod in pods:
        for status in pod.status.container_statuses or []:
            if status.state and (status.state.running or status.state.terminated):
                yield pod.metadata.name, status.restart_count or 0


def _why_waiting(pods: list[Any]) -> str:
    """Why a pod does not start: an image that cannot be pulled, a secret that is missing, no node for it."""
    for pod in pods:
        for status in pod.status.container_statuses or []:
            waiting = status.state and status.state.waiting
            if waiting and waiting.reason not in ("ContainerCreating", "PodInitializing"):
                return f"{waiting.reason}{': ' + waiting.message if waiting.message else ''}"
        for condition in pod.status.conditions or []:
            if condition.type == "PodScheduled" and condition.status == "False" and condition.message:
                return str(condition.message)
    return ""


def _spec(there: Any) -> str:
    return str((there.metadata.annotations or {}).get(SPEC, ""))


def _conditions(there: Any) -> dict[str, Any]:
    return {condition.type: condition for condition in (there.status and there.status.conditions) or [] if condition.status == "True"}


def _ended(there: Any) -> bool:
    return bool({"Complete", "Failed"} & set(_conditions(there)))


def _complete(there: Any) -> bool:
    return "Complete" in _conditions(there)


def _why_failed(there: Any) -> str:
    failed = _conditions(there)["Failed"]
    return ", ".join(filter(None, (failed.reason, failed.message))) or "it gives no reason"


@contextmanager
def explained(cluster: Cluster) -> Iterator[None]:
    """Turns what Kubernetes' client raises into one sentence with the way out."""
    try:
        yield
    except ApiException as error:
        raise _refusal(cluster, error) from error
    except urllib3.exceptions.HTTPError as error:
        raise HostError(unreached("Kubernetes", cluster.context, error, "is the cluster up, and --context the right one?")) from error


def _refusal(cluster: Cluster, error: ApiException) -> FederationError:
    said, where, status = said_in(error.body), f"namespace '{cluster.namespace}' of {cluster.context}", error.status or 0
    if re.search(r"exceeded quota|quota", said):
        return HostError(f"There is no room in {where} ({status}): {said}; ask for less in the worker's resources, or its administrator for a larger quota.")
    sentences = {
        401: f"Kubernetes does not know who you are ({cluster.context}, 401); log in to the cluster again.",
        403: f"You may not do this in {where} (403): {said}; ask its administrator for the right to create, get, list, patch and delete jobs and configmaps.",
        404: f"There is no {where} (404): {said}; check --namespace and --context.",
        409: f"{where} has it already (409): {said}; delete it first with --delete.",
        422: f"Kubernetes takes the worker's settings for wrong (422): {said}.",
        429: f"Kubernetes has too much to do (429): {said}; try again in a while.",
    }
    if status in (400, 404, 422):
        return InputError(sentences.get(status, f"Kubernetes takes the request for wrong (400): {said}."))
    return HostError(sentences.get(status, f"Kubernetes failed ({status}): {said}; try again later."))
