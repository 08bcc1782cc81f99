"""LEAF's metrics files from a run's records: `metrics_stat.csv` and `metrics_sys.csv`, and what LEAF prints of them."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fl_core.codec import Record
from fl_core.errors import InputError
from fl_core.run_folder import Run, close_key, metrics_key

STAT = ("client_id", "round_number", "hierarchy", "num_samples", "set", "accuracy", "loss")
SYS = ("client_id", "round_number", "hierarchy", "num_samples", "bytes_written", "bytes_read", "local_computations")
PERCENTILES = (10, 50, 90)
Row = dict[str, Any]


def write_metrics(run: Run, out: Path) -> tuple[Path, Path, list[Row]]:
    """Writes both files into a folder; gives their paths and the rows of the first.

    A row of set `test` is a client's held-out part after so many rounds, one of set `train` its training in that round. The records know no
    hierarchies. Bytes are those of the model's weights, each way, as LEAF counts them; `local_computations` are the samples that were trained on.
    """
    tested, closed = dict(_measured(run)), dict(_closed(run))
    if not closed and not tested:
        raise InputError(f"The run '{run.name}' has no round that is done; wait for the first.")
    held = {client: figures["examples"] for clients in tested.values() for client, figures in clients.items()}
    stat = list(_stat_rows(run, tested, closed, held))
    paths = out / "metrics_stat.csv", out / "metrics_sys.csv"
    if there := [path for path in paths if path.exists()]:
        raise InputError(f"'{there[0]}' exists already; name another folder.")
    out.mkdir(parents=True, exist_ok=True)
    _write(paths[0], STAT, stat)
    _write(paths[1], SYS, _sys_rows(run, closed, held))
    return *paths, stat


def summarise(rows: Iterable[Row]) -> dict[str, dict[str, float]]:
    """Of each set's last round, by `set metric`: the mean weighted by samples and the percentiles over clients."""
    rows = list(rows)
    found = {}
    for half in ("train", "test"):
        last = max((row["round_number"] for row in rows if row["set"] == half), default=None)
        for metric in ("accuracy", "loss"):
            chosen = [row for row in rows if (row["set"], row["round_number"]) == (half, last) and row[metric] != "" and row["num_samples"] != ""]
            if chosen:
                values = np.array([row[metric] for row in chosen], np.float64)
                mean = float(np.average(values, weights=[row["num_samples"] for row in chosen]))
                found[f"{half} {metric}"] = {"mean": mean, **{f"p{p}": float(np.percentile(values, p)) for p in PERCENTILES}}
    return found


def _measured(run: Run) -> Iterator[tuple[int, Mapping[str, Record]]]:
    """How each client's held-out part fares, by the number of rounds that are done."""
    for round in range(1, run.last_round() + 1):
        record = run.find(metrics_key(round))
        if record is not None and record["clients"]:
            yield round - 1, record["clients"]


def _closed(run: Run) -> Iterator[tuple[int, Mapping[str, Mapping[str, float]]]]:
    """The figures of the clients that were accepted, by round."""
    for round in range(1, run.last_round()):
        record = run.find(close_key(round))
        if record is not None:
            yield round, record["clients"]


def _stat_rows(run: Run, tested: Mapping[int, Any], closed: Mapping[int, Any], held: Mapping[str, int]) -> Iterator[Row]:
    for round in sorted({*tested, *closed}):
        for client, figures in closed.get(round, {}).items():
            yield _row(client, round, _trained_on(run, client, held), set="train", **_quality(figures))
        for client, figures in tested.get(round, {}).items():
            yield _row(client, round, figures["examples"], set="test", **_quality(figures["metrics"]))


def _sys_rows(run: Run, closed: Mapping[int, Any], held: Mapping[str, int]) -> Iterator[Row]:
    weights = run.state(run.last_round()).weights
    size = sum(np.asarray(value).nbytes for value in weights.values())
    for round, clients in closed.items():
        for client, figures in clients.items():
            moved = {"bytes_written": size, "bytes_read": size, "local_computations": int(figures.get("seen", 0))}
            yield _row(client, round, _trained_on(run, client, held), **moved)


def _row(client: str, round: int, samples: int | str, **more: Any) -> Row:
    return {"client_id": client, "round_number": round, "hierarchy": "", "num_samples": samples, **more}


def _quality(figures: Mapping[str, float]) -> Row:
    return {name: figures.get(name, "") for name in ("accuracy", "loss")}


def _trained_on(run: Run, client: str, held: Mapping[str, int]) -> int | str:
    """How many samples the client trains on; empty where some are held out and no record says how many."""
    if run.job.data.held_out and client not in held:
        return ""
    return run.population.size_of(client) - (held.get(client, 0) if run.job.data.held_out else 0)


def _write(path: Path, columns: Iterable[str], rows: Iterable[Row]) -> None:
    with path.open("x", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
