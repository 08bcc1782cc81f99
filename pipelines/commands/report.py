"""`fl report DIR`: writes a run's report page anew and says where it is."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="DIR", help="the run's folder, or its URI in a store")


def main(arguments: argparse.Namespace) -> None:
    from fl_core.report import write
    from fl_core.runner import open_run

    print(write(open_run(arguments.run)))
