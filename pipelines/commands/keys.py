"""`fl keys new NAME`: makes a private key for a worker or a server, and prints its public half."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action, help_text in {"new": "make a key", "show": "print the public half of a key"}.items():
        sub = commands.add_parser(action, help=help_text)
        sub.add_argument("name", metavar="NAME", help="the role: a worker's name, or server")
        sub.add_argument("--store", metavar="ROOT", help="the store of `fl serve` and `fl work`, whose private place is theirs by default: ROOT.private")
        sub.add_argument("--private", metavar="URI", help="the organisation's private place (default: that of the store, or ./private without one)")


def main(arguments: argparse.Namespace) -> None:
    from fl_core.errors import InputError
    from fl_core.runner import private_of
    from fl_core.section import FILE_NAME, NAME_RULE
    from fl_core.signing import make_key, own_key, public_key
    from fl_core.store import open_private

    if not FILE_NAME.fullmatch(arguments.name):
        raise InputError(f"The role's name is '{arguments.name}'; {NAME_RULE}")
    private = private_of(arguments.store, arguments.private) if arguments.store else open_private(arguments.private or "private")
    if arguments.action == "show":
        print(public_key(own_key(private, arguments.name)))
        return
    if private.exists(f"keys/{arguments.name}"):
        raise InputError(f"There is a key of '{arguments.name}' in {private.uri} already; keys are never written over.")
    print(make_key(private, arguments.name))
