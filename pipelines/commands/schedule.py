"""`fl schedule simulate JOB`: what a schedule would do, here; `create|list|pause|resume|delete|run-now`: a job's schedule on Kubeflow Pipelines."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from pipelines.host import add_host, open_client
from pipelines.progress import show_rounds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_simulate(actions.add_parser("simulate", help="run some occurrences here, one after another", description="Runs some occurrences here."))
    _add_create(actions.add_parser("create", help="make a job's schedule at Kubeflow Pipelines", description="Makes a job's schedule."))
    for action, function, help_text in (
        ("list", _list, "list the schedules"),
        ("pause", _pause, "let no occurrence begin until it is resumed"),
        ("resume", _resume, "let occurrences begin again; what was missed is not made up for"),
        ("delete", _delete, "delete a schedule; its runs and models stay"),
        ("run-now", _run_now, "start an occurrence now"),
    ):
        sub = actions.add_parser(action, help=help_text, description=f"{help_text[0].upper()}{help_text[1:]}.")
        sub.set_defaults(function=function)
        if action != "list":
            sub.add_argument("name", metavar="NAME", help="the schedule's name or id")
        if action == "run-now":
            sub.add_argument("--occurrence", type=int, metavar="N", help="its number, where the job's schedule.set asks for one")
        sub.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
        add_host(sub)


def _add_simulate(sub: argparse.ArgumentParser) -> None:
    sub.set_defaults(function=_simulate)
    sub.add_argument("job", metavar="JOB", help="the job file; its 'publish' section says what decides")
    sub.add_argument("--occurrences", type=int, default=3, metavar="N", help="how many (default: %(default)s)")
    sub.add_argument("--first", type=int, default=1, metavar="N", help="the number of the first (default: %(default)s)")
    sub.add_argument("--store", default="file://store", metavar="ROOT", help="the store whose registry moves: file://… or s3://… (default: %(default)s)")
    sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="override a key of the job, such as rounds=5")
    sub.add_argument("--processes", type=int, metavar="N", help="training processes (default: one a core)")
    sub.add_argument("--json", action="store_true", help="print the occurrences as one JSON object and nothing else")


def _add_create(sub: argparse.ArgumentParser) -> None:
    sub.set_defaults(function=_create)
    sub.add_argument("job", metavar="JOB", help="the job file; its 'publish' section says what decides")
    sub.add_argument("--cron", metavar="FIELDS", help='minute hour day month weekday, such as "0 2 * * *", or six fields with the second before them')
    sub.add_argument("--every", metavar="TIME", help="an interval in place of it, such as 30m, 1h or 1d")
    sub.add_argument("--store", default="", metavar="ROOT", help="where the federation meets and its models lie: s3://BUCKET/PREFIX, as the pods reach it")
    sub.add_argument("--name", default="", metavar="NAME", help="the schedule's name (default: the job's)")
    sub.add_argument("--layout", choices=["unrolled", "live"], help="a task per stage and round, or one long task per role (default: by the job's size)")
    sub.add_argument("--service-account", default="", metavar="NAME", help="what the occurrences' pods run as (default: the server's own choice)")
    sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="override a key of the job")
    sub.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    add_host(sub)


def main(arguments: argparse.Namespace) -> None:
    arguments.function(arguments)


def _simulate(arguments: argparse.Namespace) -> None:
    from fl_core.job import load_job
    from fl_core.pool import open_pool
    from pipelines.schedule import simulate

    job = load_job(arguments.job, arguments.overrides)
    tell = (lambda outcome: None) if arguments.json else _tell
    with open_pool(arguments.processes) as pool, show_rounds(job.name, job.rounds) as on_round:
        outcomes = simulate(
            job, occurrences=arguments.occurrences, store=arguments.store, first=arguments.first, pool=pool, on_round=on_round, on_occurrence=tell
        )  # fmt: skip
    if arguments.json:
        print(json.dumps({"name": job.name, "occurrences": outcomes}))


def _tell(outcome: dict[str, Any]) -> None:
    version = f"version {outcome['version']}" if outcome["version"] else "no version"
    print(f"{outcome['occurrence']}  {outcome['decision']:<9}  {version}  {outcome['why']}", flush=True)


def _create(arguments: argparse.Namespace) -> None:
    from fl_core.job import load_job
    from pipelines.kfp_client import explained
    from pipelines.recurring import create, to_json, when
    from pipelines.submit import check_store

    at = when(arguments.cron, arguments.every)
    check_store(arguments.store)
    job = load_job(arguments.job, arguments.overrides)
    client, name = open_client(arguments), arguments.name or job.name
    with explained(arguments.host, arguments.namespace):
        made = create(
            client, job, at, store=arguments.store, name=name, layout=arguments.layout, service_account=arguments.service_account
        )  # fmt: skip
    _say(arguments, to_json(made, name, at), f"{name} is scheduled {at.cron or f'every {at.every_seconds} seconds'}, as {made[0]}")


def _list(arguments: argparse.Namespace) -> None:
    from pipelines.kfp_client import explained
    from pipelines.recurring import describe, schedules

    with explained(arguments.host, arguments.namespace):
        found = [describe(one) for one in schedules(open_client(arguments))]
    lines = [f"{one['name']}  {_times(one)}  {'on' if one['enabled'] else 'paused'}  {one['id']}" for one in found]
    _say(arguments, {"schedules": found}, "\n".join(lines) or "Nothing is scheduled.")


def _times(one: dict[str, Any]) -> str:
    return str(one["cron"] or f"every {one['every_seconds']} s")


def _pause(arguments: argparse.Namespace) -> None:
    _change(arguments, lambda client: client.disable_recurring_run, "paused")


def _resume(arguments: argparse.Namespace) -> None:
    _change(arguments, lambda client: client.enable_recurring_run, "resumed")


def _delete(arguments: argparse.Namespace) -> None:
    _change(arguments, lambda client: client.delete_recurring_run, "deleted")


def _change(arguments: argparse.Namespace, call: Callable[[Any], Callable[[str], Any]], done: str) -> None:
    from pipelines.kfp_client import explained
    from pipelines.recurring import find

    client = open_client(arguments)
    with explained(arguments.host, arguments.namespace):
        one = find(client, arguments.name)
        call(client)(one.recurring_run_id)
    _say(arguments, {"name": one.display_name, "id": one.recurring_run_id, "done": done}, f"{one.display_name} is {done}")


def _run_now(arguments: argparse.Namespace) -> None:
    from pipelines.kfp_client import explained
    from pipelines.recurring import run_now

    client = open_client(arguments)
    with explained(arguments.host, arguments.namespace):
        begun = run_now(client, arguments.name, arguments.occurrence)
    _say(arguments, {"run_id": begun.run_id, "run": begun.run, "url": begun.url}, begun.url)


def _say(arguments: argparse.Namespace, facts: Any, line: str) -> None:
    print(json.dumps(facts) if arguments.json else line)
