"""Compiled pipelines to compare with. `python -m tests.pipelines.golden` writes them anew, and nothing else does."""

import re
from functools import partial
from pathlib import Path

from fl_core.job import Job, parse_job
from pipelines import live
from pipelines.unrolled import compile_text

FOLDER = Path(__file__).parent

HOSPITALS = """
format: 1
name: hospitals
program: digits
strategy: {name: fed_avg, batch_size: 10}
data: {name: digits, partition: {name: iid, clients: 4}}
federation:
  workers:
    - name: hospital-a
      resources: {cpu: 2, memory: 4Gi}
      kubernetes:
        secret: hospital-a-store
        node_selector: {site: a}
        tolerations: [{key: federation, operator: Exists, effect: NoSchedule}]
        labels: {organisation: hospital-a}
        timeout_seconds: 3600
    - name: hospital-b
      kubernetes: {secret: {name: hospital-b-store, env: {id: AWS_ACCESS_KEY_ID, key: AWS_SECRET_ACCESS_KEY}}, image: "registry.example/worker:1.0"}
rounds: 2
optimizer: {name: SGD, learning_rate: 0.5}
seed: 7
"""

HELD_OUT = """
format: 1
name: held-out
program: digits
data: {name: digits, held_out: 0.2, partition: {name: iid, clients: 4}}
federation:
  workers: 2
  server:
    resources: {cpu: 500m, memory: 1Gi}
    kubernetes:
      secret: lead-store
      node_selector: {role: lead}
      tolerations: [{key: federation, operator: Exists, effect: NoSchedule}]
      labels: {organisation: lead}
      timeout_seconds: 1800
  images: {registry: registry.example/team, worker: "registry.example/own/trainer:2.1"}
rounds: 2
optimizer: {name: SGD, learning_rate: 0.5}
evaluate: {on: held_out, every_rounds: 2}
seed: 7
"""

JOBS: dict[str, Job] = {"hospitals": parse_job(HOSPITALS), "held_out": parse_job(HELD_OUT)}
TEXTS = {**{name: partial(compile_text, job) for name, job in JOBS.items()}, "live": partial(compile_text, JOBS["hospitals"], lay=live.build)}


def normalised(text: str) -> str:
    """Without the version of the library that wrote it."""
    return re.sub(r"(?m)^(sdkVersion|schemaVersion): .*$", r"\1: any", text)


def write() -> list[Path]:
    """Writes every golden file anew; gives their paths."""
    paths = [FOLDER / f"{name}.yaml" for name in TEXTS]
    for path, text in zip(paths, TEXTS.values(), strict=True):
        path.write_text(normalised(text()))
    return paths
