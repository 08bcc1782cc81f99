"""`fl serve JOB --store ROOT --run NAME`: leads a federation whose workers are processes elsewhere."""

import argparse

from pipelines.log_option import add_log, logged
from pipelines.observe import add_port, observed
from pipelines.progress import show, show_rounds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", help="the job file")
    parser.add_argument("--store", required=True, metavar="ROOT", help="where the federation meets: file://FOLDER or s3://BUCKET/PREFIX")
    parser.add_argument("--run", required=True, metavar="NAME", help="the run's name; one that is there is gone on with")
    parser.add_argument(
        "--private", metavar="URI", help="the server's private place, for its key (default: beside the store, ROOT.private; ./private/NAME for s3://…/NAME)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="override a key of the job")
    parser.add_argument("--start-seconds", type=float, default=600.0, help="how long the workers may take to come together (default: %(default)s)")
    add_log(parser)
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object and nothing else")
    add_port(parser)


def main(arguments: argparse.Namespace) -> None:
    from fl_core.job import load_job
    from fl_core.live import serve
    from fl_core.run_folder import Run
    from fl_core.runner import private_of
    from fl_core.stage import place_of

    job = load_job(arguments.job, arguments.overrides)
    arguments.way_on = "the same command again goes on from there"
    place = place_of(arguments.store, arguments.run)
    private = private_of(arguments.store, arguments.private)
    port = arguments.metrics_port
    with observed(port, "server") as gauges, show_rounds(job.name, job.rounds) as shown, logged(arguments, gauges.both(shown)) as on_round:
        result = serve(Run(arguments.run, job, place, private), start_seconds=arguments.start_seconds, on_round=on_round)
    show(result, as_json=arguments.json)
