"""`fl store policy JOB --store s3://BUCKET/PREFIX`: writes what each role may do in the store, as policies for MinIO or AWS IAM."""

import argparse
import json
from pathlib import Path
from urllib.parse import urlsplit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    policy = commands.add_parser("policy", help="write the policy of each role")
    policy.add_argument("job", metavar="JOB", help="the job file")
    policy.add_argument("--store", required=True, metavar="ROOT", help="where the federation meets: s3://BUCKET/PREFIX")
    policy.add_argument("--run", default="*", metavar="NAME", help="for one run (default: for all)")
    policy.add_argument("-o", "--output", metavar="DIR", help="write one file a role into this folder (default: print all as one JSON object)")


def main(arguments: argparse.Namespace) -> None:
    from fl_core.errors import InputError
    from fl_core.job import load_job
    from fl_core.policy import policies

    place = urlsplit(arguments.store)
    if place.scheme != "s3" or not place.netloc:
        raise InputError(f"--store is '{arguments.store}'; policies are for a store of the form s3://BUCKET/PREFIX.")
    found = policies(load_job(arguments.job), place.netloc, place.path.strip("/"), arguments.run)
    if arguments.output is None:
        print(json.dumps(found, indent=2))
        return
    folder = Path(arguments.output)
    folder.mkdir(parents=True, exist_ok=True)
    for role, policy in found.items():
        (folder / f"{role}.json").write_text(json.dumps(policy, indent=2) + "\n")
        print(folder / f"{role}.json")
