"""`fl verify DIR|URI`: checks signatures, digests and sums of a run offline."""

import argparse
import json
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="DIR", help="the run's folder, or its URI in a store")
    parser.add_argument("--server-key", metavar="KEY", help="the server's public key, got elsewhere (default: trust the one in the run, and say so)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def main(arguments: argparse.Namespace) -> int:
    from fl_core.errors import SignatureError
    from fl_core.store import open_store
    from fl_core.verify import sentence, verify

    result = verify(open_store(arguments.run), arguments.server_key)
    code = 0 if result.good else SignatureError.exit_code
    if arguments.json:
        facts = {"good": result.good, "finished": result.finished, "rounds": result.rounds, "found": result.found, "resting": result.resting}
        facts |= {"replayed": result.replayed, "not_kept": result.not_kept, "digest": result.digest, "server_key": result.server_key}
        print(json.dumps(facts))
        return code
    if result.rounds_max and not result.finished:
        print(f"unfinished: {result.rounds} of {result.rounds_max} rounds", file=sys.stderr if result.found else sys.stdout)
    for finding in result.found:
        print(finding, file=sys.stderr)
    if result.resting:
        print(f"(and {len(result.resting)} more that rest on what is missing)", file=sys.stderr)
    if not result.good:
        return code
    print(f"good: {sentence(result)}")
    if arguments.server_key is None:
        print(f"The server's key is the run's own, {result.server_key}; pass --server-key to be sure whose run it is.")
    return code
