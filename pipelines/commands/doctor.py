"""`fl doctor`: says what this machine has, what is missing and how to mend it; with --host, what a Kubeflow Pipelines lets one do."""

import argparse
import ctypes
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import cache_from_source, find_spec
from pathlib import Path
from typing import NamedTuple

from pipelines.host import add_host, open_client

PACKAGES = ("paddlepaddle", "numpy", "kfp", "kubernetes", "minio", "safetensors", "scikit-learn")
DISK_BYTES_MIN = 1 << 30


class Finding(NamedTuple):
    good: bool
    name: str
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the findings as one JSON object and nothing else")
    add_host(parser, required=False)
    parser.set_defaults(host=None)  # only when asked: the checks of this machine need no server


def main(arguments: argparse.Namespace) -> int:
    findings = look_at_host(arguments) if arguments.host else [check() for check in CHECKS]
    if arguments.json:
        print(json.dumps({"findings": [finding._asdict() for finding in findings]}))
    else:
        for finding in findings:
            print(f"{'ok  ' if finding.good else 'MISS'}  {finding.name}: {finding.text}")
    return 0 if all(finding.good for finding in findings) else 1


def _python() -> Finding:
    good = (3, 11) <= sys.version_info[:2] <= (3, 12)
    return Finding(good, "python", platform.python_version() + ("" if good else "; install Python 3.11"))


def _packages() -> Finding:
    found, missing = [], []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    return Finding(not missing, "packages", ", ".join(found) if not missing else f"{', '.join(missing)} missing; run `make setup`")


def _libgomp() -> Finding:
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        return Finding(False, "libgomp", "libgomp.so.1 is missing, which Paddle needs; install Debian's libgomp1 or your system's like it")
    return Finding(True, "libgomp", "libgomp.so.1")


def _processor() -> Finding:
    from fl_core.numerics import describe_processor, training_environment

    facts = describe_processor()
    mkl = training_environment(os.environ).get("MKL_DEBUG_CPU_TYPE")
    text = f"{len(os.sched_getaffinity(0))} cores, {facts['vendor']}, {' '.join(facts['features']) or 'no vector features'}, MKL path {mkl or 'its own'}"
    return Finding("avx2" in facts["features"], "processor", text + ("" if "avx2" in facts["features"] else "; Paddle's wheels need AVX2"))


def _start() -> Finding:
    """Whether each start compiles Paddle's modules anew, which works and takes seconds."""
    found = find_spec("paddle")
    if not sys.dont_write_bytecode or not found or not found.origin or Path(cache_from_source(found.origin)).exists():
        return Finding(True, "start", "compiled modules are kept")
    text = f"Paddle is compiled anew at each start, which takes seconds; run `{sys.executable} -m compileall -q {Path(found.origin).parents[1]}` once"
    return Finding(True, "start", text)


def _training() -> Finding:
    from fl_core.errors import FederationError
    from fl_core.pool import Call, Pool

    try:
        with Pool(1) as pool:
            pool.about({})
            list(pool.run([Call("ping", {})]))
    except FederationError as error:
        return Finding(False, "training process", str(error))
    return Finding(True, "training process", "starts and answers")


def _disk() -> Finding:
    free = shutil.disk_usage(".").free
    return Finding(free > DISK_BYTES_MIN, "disk", f"{free / 1e9:.1f} GB free here" + ("" if free > DISK_BYTES_MIN else "; a run needs some room"))


def look_at_host(arguments: argparse.Namespace) -> list[Finding]:
    """Whether the server answers, knows us, serves our namespace, and shows us what `fl submit` and `fl schedule` look at. Changes nothing there."""
    from fl_core.errors import FederationError
    from pipelines.kfp_client import explained

    try:
        client = open_client(arguments)
        with explained(arguments.host, arguments.namespace):
            store = client.get_kfp_healthz().pipeline_store or "unknown"
    except FederationError as error:
        return [Finding(False, "host", str(error))]
    namespace = client.get_user_namespace()
    about = f"{arguments.host} answers; {f'many namespaces, yours is {namespace}' if namespace else 'one namespace, its own'}; pipelines are kept in: {store}"
    findings = [Finding(True, "host", about)]
    for name, call in (
        ("experiments", client.list_experiments), ("pipelines", client.list_pipelines), ("runs", client.list_runs), ("schedules", client.list_recurring_runs)
    ):  # fmt: skip
        try:
            with explained(arguments.host, namespace):
                found = call(page_size=1, namespace=namespace or None).total_size or 0
            findings.append(Finding(True, name, f"{found} there"))
        except FederationError as error:
            findings.append(Finding(False, name, str(error)))
    told = "its release, its default of retries and its caching are not told by its API; docs/kubeflow.md says how to look"
    return [*findings, Finding(True, "not checked", told)]


CHECKS: tuple[Callable[[], Finding], ...] = (_python, _packages, _libgomp, _processor, _disk, _start, _training)
