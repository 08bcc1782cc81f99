"""What a run measured and how it ended: evaluations brought together, a row a round, the summary. It needs no Paddle."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fl_core.codec import Record, digest_weights, encode_record, encode_tensors
from fl_core.errors import KeyTaken
from fl_core.evaluation import evaluation_of
from fl_core.journal import journal, tips
from fl_core.reply import Unacceptable
from fl_core.run_folder import Run, close_key, metrics_key, plan_key, state_key
from fl_core.worker import evaluators


def merge_metrics(run: Run, round: int) -> Record | None:
    """The evaluation of the round's first state in one record, of those that are there by now; None where none is. One that cannot be accepted is passed
    over, and the record says so: nothing else can ever come in its place."""
    found = run.find(metrics_key(round))
    if found is not None:
        return found
    parts: list[Record] = []
    refused: dict[str, str] = {}
    for worker in evaluators(run):
        try:
            part = evaluation_of(run, round, worker)
        except Unacceptable as error:
            refused[worker] = str(error)
        else:
            parts += [part] if part else []
    if not parts and not refused:
        return None
    clients = {client: figures for part in parts for client, figures in part["clients"].items()}
    metrics = held_out_metrics(clients)
    for part in parts:
        metrics |= part.get("test", {}).get("metrics", {})
    for worker, why in refused.items():
        journal(run, "refused", round=round, stage="evaluate", worker=worker, reason=why)
    record = {"run": run.name, "round": round, "state": run.digest(state_key(round)), "metrics": metrics, "clients": clients}
    return run.put(metrics_key(round), {**record, **({"refused": refused} if refused else {})})


def held_out_metrics(clients: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Means over the clients' held-out examples (named as they are, unless a test set gives them too) and the 10th, 50th and 90th percentile over clients."""
    if not clients:
        return {}
    ordered = [clients[client] for client in sorted(clients)]
    metrics: dict[str, float] = {}
    for name in dict.fromkeys(name for figures in ordered for name in figures["metrics"]):  # a worker may name others than the rest
        having = [figures for figures in ordered if name in figures["metrics"]]
        examples = np.array([figures["examples"] for figures in having], np.float64)
        values = np.array([figures["metrics"][name] for figures in having], np.float64)
        mean = float((values * examples).sum() / examples.sum())
        metrics |= {name: mean, f"{name}_held_out": mean}
        metrics |= {f"{name}_p{p}": float(np.percentile(values, p)) for p in (10, 50, 90)}
    return metrics


def rows(run: Run) -> list[Record]:
    """What metrics.jsonl holds: one object a round, from the close records and evaluations."""
    return [row_of(run, done) for done in range(run.last_round())]


def row_of(run: Run, done: int) -> Record:
    """The row after so many rounds: how the state was measured that came of them, and who took part in the last of them."""
    measured = run.find(metrics_key(done + 1))
    closed = run.find(close_key(done)) if done else None
    row: Record = {"round": done, "metrics": measured["metrics"] if measured else {}}
    if closed is not None:
        losses = [figures.get("loss") for figures in closed["clients"].values() if figures.get("loss") is not None]
        row |= {"clients": len(closed["clients"]), "left_out": len(closed["left_out"]), "examples": examples_of(closed)}
        row |= {"train_loss": float(np.mean(losses))} if losses else {}
        plan = run.find(plan_key(done)) or {}
        row |= {"simulated_seconds": plan["simulated_seconds"]} if "simulated_seconds" in plan else {}
    return row


def examples_of(closed: Record) -> int:
    """How many examples the accepted clients of a round trained on, each as often as it was seen."""
    return int(sum(figures.get("seen", 0) for figures in closed["clients"].values()))


def write_summary(run: Run, facts: Mapping[str, Any], publish: Callable[[Run, Record], Record] | None = None) -> Record:
    """Writes model, metrics and summary of a finished run, once; gives the summary, which says what became of the model where `publish` publishes it."""
    found = run.find("summary.json")
    if found is not None:
        return found
    last = run.last_round()
    merge_metrics(run, last)
    state = run.state(last)
    table = rows(run)
    failures = [
        {"round": round, **entry} for round in range(1, last) for entry in run.record(close_key(round))["left_out"]
    ]  # fmt: skip
    summary = {
        "name": run.job.name, "run": run.name, "rounds": last - 1, "digest": digest_weights(state.weights), "job_digest": run.job.digest,
        "metrics": table[-1]["metrics"], "examples": sum(row.get("examples", 0) for row in table), "failures": failures,
        "privacy": {"protected": False}, "reproducible": why_not_reproducible(run) or True, "numerics": run.facts.get("numerics", {}), **facts,
    }  # fmt: skip
    simulated = [row["simulated_seconds"] for row in table if "simulated_seconds" in row]
    summary |= {"simulated_seconds": round(sum(simulated), 6)} if simulated else {}
    _put_anew(run, "model.safetensors", encode_tensors(state.weights, {"digest": summary["digest"], "name": run.job.name}))
    _put_anew(run, "metrics.jsonl", b"".join(encode_record(row) + b"\n" for row in table))
    if publish is not None:
        summary["published"] = publish(run, summary)
    journal(run, "finished", digest=summary["digest"])  # before the summary names the journal's last lines
    files = {key: run.digest(key) for key in ("model.safetensors", "metrics.jsonl")}
    return run.put("summary.json", {**summary, "files": files, "journal": tips(run)})


def why_not_reproducible(run: Run) -> str | None:
    """Why another run of the job may end in other bits; None where it may not."""
    if run.strategy.buffer_size:
        return "arrivals: measured (the bits depend on who arrived when, as the close records say)"
    return "engine: batched (the bits depend on who is trained together)" if run.job.engine == "batched" else None


def _put_anew(run: Run, key: str, data: bytes) -> None:
    """Derived files may lie there from a finish that was cut short."""
    try:
        run.store.put(key, data)
    except KeyTaken:
        run.store.delete(key)
        run.store.put(key, data)
