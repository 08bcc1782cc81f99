"""`fl lint FILE`: says what a Kubeflow backend would choke on in a compiled pipeline."""

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the compiled pipeline")


def main(arguments: argparse.Namespace) -> int:
    from pipelines.lint import lint

    found = lint(arguments.file)
    for sentence in found:
        print(sentence, file=sys.stderr)
    if not found:
        print(f"{arguments.file}: nothing found.")
    return 2 if found else 0
