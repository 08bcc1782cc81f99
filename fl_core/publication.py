"""Publication: makes a finished run's model a version of the registry, and production where the gate lets it pass."""

from fl_core import registry, signing
from fl_core.codec import Record, sha256
from fl_core.errors import InputError
from fl_core.gate import check_measured
from fl_core.occurrence import fingerprints, why_nothing_new
from fl_core.program import direction_of
from fl_core.run_folder import Run, card_key, metrics_key
from fl_core.store import Store, open_store

PUBLISHED, REFUSED, KEPT, SKIPPED = "published", "refused", "kept", "skipped"


def registry_of(run: Run) -> Store | None:
    """The store whose registry a run publishes to and starts from: the one that it was given, or the one that it lies in; None where it lies in none."""
    if run.root is not None:
        return run.root
    above, found, _ = run.store.uri.rstrip("/").rpartition("/runs/")
    return open_store(above) if found and not above.startswith("memory:") else None


def publish(run: Run, summary: Record) -> Record:
    """Publishes the model of a run whose model file is written; doing so again changes nothing.

    Gives `model`, `version` (None where nothing was published), `decision` and `why`: `published` (it is production), `refused` by the gate,
    `kept` (it waits to be promoted by hand), `skipped` (it brought nothing new, or the evaluation that the gate rests on was refused). InputError where the
    run lies in no store, or lacks the gate's metric.
    """
    name, gate, root = run.job.name, run.job.publish, registry_of(run)
    assert gate is not None
    if root is None:
        raise InputError(f"The job has 'publish', but {run.store.uri} lies in no store with a registry; say where that is with --store.")
    nothing_new = why_nothing_new(run)
    if nothing_new:
        return {"model": name, "version": None, "decision": SKIPPED, "why": nothing_new}
    refused = (run.find(metrics_key(run.last_round())) or {}).get("refused", {})
    if gate.metric not in summary["metrics"] and refused:
        return {"model": name, "version": None, "decision": SKIPPED, "why": f"{gate.metric} was not measured: {'; '.join(refused.values())}"}
    check_measured(gate.metric, summary["metrics"])
    key = signing.own_key(run.private, signing.SERVER)
    files = {registry.MODEL: run.store.get(registry.MODEL), registry.JOB: run.job.bundle().encode()}
    record = registry.add(root, name, files, facts_of(run, summary, files), lambda facts: signing.sign(facts, signing.SERVER, key))
    return {"model": name, "version": record["version"], **_decide(root, record, by_hand=gate.promote == "never")}


def _decide(root: Store, record: Record, *, by_hand: bool) -> Record:
    """Production where the gate lets it pass. A version that was production before, because this was called before, is not moved again."""
    if by_hand:
        return {"decision": KEPT, "why": "publish.promote is never; promote it with `fl models promote`."}
    pointer = registry.read_pointer(root, record["name"], registry.PRODUCTION)
    if pointer is not None and any(move["version"] == record["version"] for move in pointer.history):
        return {"decision": PUBLISHED, "why": "it was made production when it was published."}
    verdict = registry.promote(root, f"{record['name']}/{record['version']}")
    return {"decision": PUBLISHED if verdict.passed else REFUSED, "why": verdict.why}


def facts_of(run: Run, summary: Record, files: dict[str, bytes | memoryview]) -> Record:
    """What a version's record says of the run that it came from."""
    gate, job, cards = run.job.publish, run.job, [run.record(card_key(worker.name)) for worker in run.job.workers]
    assert gate is not None
    return {
        "run": run.name, "digest": summary["digest"], "job_digest": job.digest, "program_sha256": job.program_sha256, "given": run.manifest["given"],
        "model_sha256": sha256(files[registry.MODEL]), "model_bytes": len(files[registry.MODEL]), "bundle_sha256": sha256(files[registry.JOB]),
        "data": fingerprints(run), "x": next((card["x"] for card in cards if "x" in card), None), "rounds": summary["rounds"],
        "metrics": summary["metrics"], "gate": {"metric": gate.metric, "tolerance": gate.tolerance, "better": _better(run, gate.metric)},
        "parent": run.facts.get("started_from", {}).get("model"), "privacy": summary["privacy"], "numerics": summary["numerics"],
        "published": registry.now(), "server_key": run.manifest["server_key"],
    }  # fmt: skip


def _better(run: Run, metric: str) -> str:
    better = run.facts.get("better", {}).get(metric) or direction_of(metric)
    if better is None:
        raise InputError(f"Nobody said whether '{metric}' is better higher or lower; add it to the program's `better`, such as {{'{metric}': 'higher'}}.")
    return str(better)
