"""`fl submit JOB --host URL` starts a run on Kubeflow Pipelines; `fl submit JOB --worker NAME` starts a worker in an organisation's own cluster."""

import argparse
import json
import sys
import webbrowser
from functools import partial
from typing import Any

from pipelines.host import add_host, open_client

INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", help="the job file")
    parser.add_argument("--store", default="", metavar="ROOT", help="where the federation meets: s3://BUCKET/PREFIX, as the pods reach it")
    parser.add_argument("--run", default="", metavar="NAME", help="the run's name in the store; one that stopped is gone on with (default: job and time)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="override a key of the job")
    parser.add_argument("--wait", action="store_true", help="follow the run, or the worker's log, to its end")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    pipelines = parser.add_argument_group("to Kubeflow Pipelines")
    add_host(pipelines, required=False)  # type: ignore[arg-type]
    pipelines.add_argument("--open", action="store_true", help="open the run's page in a browser")
    pipelines.add_argument("--layout", choices=["unrolled", "live"], help="a task per stage and round, or one long task per role (default: by the job's size)")
    pipelines.add_argument("--service-account", default="", metavar="NAME", help="what the run's pods run as (default: the server's own choice)")
    worker = parser.add_argument_group("to an organisation's own cluster")
    worker.add_argument("--worker", metavar="NAME", help="start this worker of a run, as `fl work` does")
    worker.add_argument("--context", default="", metavar="NAME", help="the kubeconfig's context (default: the current one)")
    worker.add_argument("--private", default="", metavar="URI", help="where its key and its clients' memory stay: a path on a --volume, or s3://… of its own")
    worker.add_argument("--volume", action="append", default=[], metavar="CLAIM:/PATH[:ro]", help="mount a PersistentVolumeClaim, such as its data")
    worker.add_argument("--processes", type=int, default=1, metavar="N", help="how many pods share the worker's parts (default: %(default)s)")
    worker.add_argument("--image", default="", metavar="IMAGE", help="its image (default: the one of the job, or of this release)")
    worker.add_argument("--delete", action="store_true", help="stop the worker of --run and delete what was made for it")


def main(arguments: argparse.Namespace) -> int:
    return _submit_worker(arguments) if arguments.worker else _submit_run(arguments)


def _submit_run(arguments: argparse.Namespace) -> int:
    from fl_core.errors import InputError
    from fl_core.job import load_job
    from pipelines.kfp_client import explained
    from pipelines.submit import check_store, submit

    if not arguments.host:
        raise InputError("--host is missing; it is the URL of Kubeflow Pipelines, or --worker names one to start in a cluster of your own.")
    check_store(arguments.store)
    job = load_job(arguments.job, arguments.overrides)
    client = open_client(arguments)
    with explained(arguments.host, arguments.namespace):
        begun = submit(client, job, store=arguments.store, run=arguments.run, layout=arguments.layout, service_account=arguments.service_account)
    version = begun.version
    assert version is not None
    print(version.choice.why, file=sys.stderr)
    print(f"version {version.name} {'uploaded' if version.new else 'is there already'}", file=sys.stderr)
    facts = {"run_id": begun.run_id, "run": begun.run, "url": begun.url, "version": version.name, "layout": version.choice.layout}
    if not arguments.json:
        print(begun.url, flush=True)
    if arguments.open:
        webbrowser.open(begun.url)
    ended = _follow_run(arguments, client, begun) if arguments.wait else None
    if arguments.json:
        print(json.dumps(facts | ({"state": ended.state} if ended is not None else {})))
    return 0


def _follow_run(arguments: argparse.Namespace, client: Any, begun: Any) -> Any:
    """The run as it ended; HostError where it has not succeeded."""
    from pipelines.calls import HostError
    from pipelines.kfp_client import explained
    from pipelines.submit import Rounds, follow, tasks_done, why_ended

    tell = partial(print, file=sys.stderr, flush=True)
    rounds, shown = Rounds(arguments.store, begun.run, tell), ""

    def look(run: Any) -> None:
        nonlocal shown
        done, known = tasks_done(run)
        line = f"{begun.run} {str(run.state or 'pending').lower()}" + (f", {done} of {known} tasks done" if known else "")
        if line != shown:
            shown = line
            tell(line)
        rounds.look()

    way_back = f"The run goes on: look at it at {begun.url}, or with `fl status {arguments.store.rstrip('/')}/runs/{begun.run}`."
    try:
        with explained(arguments.host, arguments.namespace):
            ended = follow(client, begun.run_id, look)
    except KeyboardInterrupt:
        print(way_back, file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    except HostError as error:
        raise HostError(f"{error} {way_back}") from error
    if ended.state != "SUCCEEDED":
        raise HostError(f"{why_ended(ended)}; see {begun.url}, and go on with `--run {begun.run}` once it is mended.")
    return ended


def _submit_worker(arguments: argparse.Namespace) -> int:
    from fl_core.errors import InputError
    from fl_core.federation import worker_section
    from fl_core.job import load_job
    from pipelines.calls import quiet
    from pipelines.submit import check_store
    from pipelines.submitter import apply, delete, follow, open_cluster
    from pipelines.worker_pod import Work, job_object, parse_volume

    quiet()
    if not arguments.run:
        raise InputError("--run is missing; a worker takes part in a run that has a name, the one of `fl serve` or `fl submit`.")
    if not arguments.namespace:
        raise InputError("--namespace is missing; it is the one of your organisation in its cluster.")
    tell = partial(print, file=sys.stderr, flush=True)
    if arguments.delete:
        gone = delete(open_cluster(arguments.context, arguments.namespace), arguments.run, arguments.worker)
        print(json.dumps({"deleted": gone}) if arguments.json else "\n".join(gone) or "Nothing was there to delete.")
        return 0
    check_store(arguments.store)
    job = load_job(arguments.job, arguments.overrides)
    work = Work(
        job, worker_section(job, arguments.worker), arguments.store, arguments.run, arguments.private, arguments.processes,
        tuple(map(parse_volume, arguments.volume)), arguments.image,
    )  # fmt: skip
    job_object(work)  # what is wrong with it is said before anything is made
    if not arguments.private:
        tell("There is no --private: this worker's key and its clients' memory end with its pod.")
    cluster = open_cluster(arguments.context, arguments.namespace)
    done = apply(cluster, work)
    facts = {"job": work.name, "namespace": arguments.namespace, "done": done}
    if not arguments.json:
        print(f"job/{work.name} {done}", flush=True)
    if arguments.wait:
        try:
            follow(cluster, work, tell)
        except KeyboardInterrupt:
            tell(f"The worker goes on: `kubectl -n {arguments.namespace} logs -f job/{work.name}` shows it, and --delete stops it.")
            return INTERRUPTED
    if arguments.json:
        print(json.dumps(facts))
    return 0
