"""`fl compile JOB -o FILE`: compiles a job to a pipeline for Kubeflow."""

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", help="the job file")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the YAML file to write")
    parser.add_argument("--layout", choices=["unrolled", "live"], help="a task per stage and round, or one long task per role (default: by the job's size)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="override a key of the job")


def main(arguments: argparse.Namespace) -> None:
    from fl_core.job import load_job
    from pipelines.layouts import compile_job

    choice = compile_job(load_job(arguments.job, arguments.overrides), arguments.output, layout=arguments.layout)
    print(choice.why, file=sys.stderr)
    print(arguments.output)
