"""`fl data show|card|check`: looks at a job's data before training; `fl data leaf …`: makes, prepares and counts LEAF's data, writes its metrics files."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

Found = tuple[dict[str, Any], list[str]]
WRONG_INPUT = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = _add(actions, "show", _show, "draw who holds what: the clients by their labels")
    show.add_argument("job", metavar="JOB", help="the job file")
    show.add_argument("-o", "--out", required=True, metavar="FILE.html", help="the page to write")
    show.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="override a key, such as data.partition.alpha=0.1")
    card = _add(
        actions, "card", _card, "write a worker's data card: schema, names of features and classes, counts, range of labels and a fingerprint, never rows"
    )
    card.add_argument("job", metavar="JOB", help="the job file")
    card.add_argument("--worker", required=True, metavar="NAME", help="the worker, as the job calls it")
    card.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="override a key of the job, as in its run")
    card.add_argument("-o", "--out", required=True, metavar="FILE", help="the file to write")
    check = _add(actions, "check", _compare, "compare the workers' data cards before training; exit 2 where they do not match")
    check.add_argument("job", metavar="JOB", help="the job file")
    check.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="override a key of the job, as in its run")
    check.add_argument("cards", nargs="+", metavar="CARD", help="the cards: from `fl data card`, or of a run, RUN/job/cards/WORKER.json")
    check.add_argument("--uneven-labels", action="store_true", help="workers may have other labels than the rest")
    leaf = actions.add_parser("leaf", help="LEAF's data: make, sample, split and count them", description="LEAF's data: make, sample, split and count them.")
    commands = leaf.add_subparsers(dest="leaf_action", required=True, metavar="ACTION")
    made = _add(commands, "synthetic", _synthetic, "make LEAF's synthetic set")
    made.add_argument("--users", type=int, default=1000, metavar="N", help="how many users (default: %(default)s)")
    made.add_argument("--classes", type=int, default=5, metavar="N", help="how many classes (default: %(default)s)")
    made.add_argument("--features", type=int, default=60, metavar="N", help="how many numbers a sample has (default: %(default)s)")
    made.add_argument("--seed", type=int, default=931231, metavar="N", help="seed of all draws (default: LEAF's, %(default)s)")
    _add_out(made)
    plays = _add(commands, "shakespeare", _shakespeare, "make LEAF's Shakespeare from plain plays")
    plays.add_argument("--plays", required=True, metavar="FILE", help="a .txt file, or a folder or tar archive of them: NAME, a tab, what is said")
    _add_out(plays)
    written = _add(commands, "femnist", _femnist, "make LEAF's FEMNIST from NIST's Special Database 19")
    written.add_argument("--from", required=True, metavar="DIR", dest="nist", help="the folder with by_class and by_write, unpacked")
    _add_out(written)
    tweets = _add(commands, "sent140", _sent140, "make LEAF's Sent140 from Sentiment140's tables")
    tweets.add_argument("--from", required=True, nargs="+", metavar="FILE", dest="tables", help="the table to train on and, if you like, that of the test")
    _add_out(tweets)
    sampled = _add(commands, "sample", _sample, "sample a set, and leave out users with few samples")
    sampled.add_argument("folder", metavar="DIR", help="the folder with all_data")
    sampled.add_argument("-s", dest="how", choices=["iid", "niid"], help="deal the samples to new users (iid), or sample whole users (niid)")
    sampled.add_argument("--sf", type=float, default=0.1, metavar="SHARE", help="the share of the samples (default: %(default)s)")
    sampled.add_argument("--iu", type=float, default=0.01, metavar="SHARE", help="iid: how many users, as a share of those there are (default: %(default)s)")
    sampled.add_argument("-k", dest="samples_above", type=int, metavar="N", help="keep the users with more than N samples")
    sampled.add_argument("--smplseed", type=int, default=0, metavar="N", help="seed of the draws (default: %(default)s)")
    split = _add(commands, "split", _split, "split a set into train and test")
    split.add_argument("folder", metavar="DIR", help="the folder with all_data, sampled_data or rem_user_data")
    split.add_argument("-t", dest="by", choices=["sample", "user"], default="sample", help="split each user's samples, or the users (default: %(default)s)")
    split.add_argument("--tf", type=float, default=0.9, metavar="SHARE", help="the share to train on (default: %(default)s)")
    split.add_argument("--gap", type=int, metavar="N", help="by sample, in their order, N between the halves left out; 79 for Shakespeare's windows")
    split.add_argument("--users-a-file", type=int, metavar="N", help="by user, at most N in a file; LEAF writes FEMNIST with 50")
    split.add_argument("--spltseed", type=int, default=0, metavar="N", help="seed of the draws (default: %(default)s)")
    metrics = _add(commands, "metrics", _metrics, "write a run's metrics as LEAF does, and print means and percentiles over clients")
    metrics.add_argument("run", metavar="RUN", help="the run's folder, or its URI in a store")
    _add_out(metrics)
    stats = _add(commands, "stats", _stats, "count users and samples, and say how uneven they are")
    stats.add_argument("folder", metavar="DIR", help="a folder of LEAF files, or one file")


def _add(commands: Any, name: str, function: Callable[[argparse.Namespace], Found], help_text: str) -> argparse.ArgumentParser:
    sub: argparse.ArgumentParser = commands.add_parser(name, help=help_text, description=f"{help_text[0].upper()}{help_text[1:]}.")
    sub.set_defaults(function=function)
    sub.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return sub


def _add_out(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--out", required=True, metavar="DIR", help="the folder to write to")


def main(arguments: argparse.Namespace) -> int:
    found, lines = arguments.function(arguments)
    wrong = bool(found.get("mismatches"))
    if arguments.json:
        print(json.dumps(found))
    else:
        print("\n".join(lines), file=sys.stderr if wrong else sys.stdout)
    return WRONG_INPUT if wrong else 0


def _show(arguments: argparse.Namespace) -> Found:
    from pathlib import Path

    from fl_core.deal_page import write_deal
    from fl_core.job import load_job

    counts = write_deal(load_job(arguments.job, arguments.overrides), Path(arguments.out))
    return {"page": arguments.out, **counts}, [arguments.out]


def _card(arguments: argparse.Namespace) -> Found:
    from pathlib import Path

    from fl_core.codec import encode_record
    from fl_core.errors import InputError
    from fl_core.federation import make_card, open_household
    from fl_core.job import load_job

    job = load_job(arguments.job, arguments.overrides)
    card = make_card(job, arguments.worker, open_household(job, arguments.worker))
    try:
        with Path(arguments.out).open("xb") as file:
            file.write(encode_record(card))
    except FileExistsError as error:
        raise InputError(f"'{arguments.out}' exists already; name another file.") from error
    except OSError as error:
        raise InputError(f"The card cannot be written to '{arguments.out}': {error.strerror}.") from error
    return card, [f"The card of '{arguments.worker}' was written to {arguments.out}."]


def _compare(arguments: argparse.Namespace) -> Found:
    from pathlib import Path

    from fl_core.cards import find_mismatches, read_card
    from fl_core.job import load_job
    from fl_core.meaning import find_untold

    cards = [read_card(Path(path)) for path in arguments.cards]
    mismatches = find_mismatches(load_job(arguments.job, arguments.overrides), cards, uneven_labels=arguments.uneven_labels)
    untold = find_untold({card["worker"]: card for card in cards})
    lines = mismatches or [f"The {len(cards)} cards match.", *untold]
    return {"workers": [card["worker"] for card in cards], "mismatches": mismatches, "not_compared": untold}, lines


def _synthetic(arguments: argparse.Namespace) -> Found:
    from pathlib import Path

    from fl_core.errors import InputError
    from fl_core.leaf.files import write_file
    from fl_core.leaf.stats import count_samples
    from fl_core.leaf.synthetic import make_users

    _check(arguments, users=(1, 1_000_000), classes=(2, 10_000), features=(1, 10_000), seed=(0, 2**32 - 1))
    path = Path(arguments.out) / "all_data" / "all_data.json"
    if path.exists():
        raise InputError(f"'{path}' exists already; name another folder.")
    users = make_users(arguments.users, arguments.seed, arguments.classes, arguments.features)
    write_file(path, users)
    found = {"file": str(path), **count_samples([len(data["y"]) for data in users.values()])}
    return found, [f"{found['users']} users with {found['samples']} samples were written to {path}."]


def _check(arguments: argparse.Namespace, **limits: tuple[float, float]) -> None:
    """InputError where an option is given and lies outside its limits."""
    from fl_core.errors import InputError

    for name, (least, most) in limits.items():
        value = getattr(arguments, name)
        if value is not None and not least <= value <= most:
            word = {"samples_above": "-k"}.get(name, f"--{name.replace('_', '-')}")
            raise InputError(f"{word} is {value}; it is a number from {least} to {most}.")


def _shakespeare(arguments: argparse.Namespace) -> Found:
    from pathlib import Path

    from fl_core.leaf.shakespeare import write_plays

    return _made(arguments, write_plays(Path(arguments.plays), Path(arguments.out)), "roles")


def _femnist(arguments: argparse.Namespace) -> Found:
    from pathlib import Path

    from fl_core.leaf.femnist import write_femnist

    return _made(arguments, write_femnist(Path(arguments.nist), Path(arguments.out)), "writers")


def _sent140(arguments: argparse.Namespace) -> Found:
    from pathlib import Path

    from fl_core.leaf.sent140 import write_tweets

    return _made(arguments, write_tweets([Path(table) for table in arguments.tables], Path(arguments.out)), "people")


def _made(arguments: argparse.Namespace, sizes: Sequence[int], users: str) -> Found:
    from fl_core.leaf.stats import count_samples

    found = {"folder": arguments.out, **count_samples(sizes)}
    return found, [f"{found['users']} {users} with {found['samples']} samples were written to {arguments.out}."]


def _sample(arguments: argparse.Namespace) -> Found:
    from pathlib import Path

    from fl_core.errors import InputError
    from fl_core.leaf.preparation import keep_users, sample_files

    _check(arguments, sf=(0.0, 1.0), iu=(0.0, 1.0), samples_above=(0, 10**9), smplseed=(0, 2**63 - 1))
    folder = Path(arguments.folder)
    if arguments.how is None and arguments.samples_above is None:
        raise InputError("Neither -s nor -k is given; say how to sample, how many samples a user has at least, or both.")
    written = [] if arguments.how is None else sample_files(folder, arguments.how, arguments.sf, arguments.iu, arguments.smplseed)
    if arguments.samples_above is not None:
        written += keep_users(folder, arguments.samples_above)
    return _written(written)


def _split(arguments: argparse.Namespace) -> Found:
    from pathlib import Path

    from fl_core.leaf.preparation import split_by_sample, split_by_user

    _check(arguments, tf=(0.0, 1.0), gap=(0, 10**9), users_a_file=(1, 10**9), spltseed=(0, 2**63 - 1))
    folder = Path(arguments.folder)
    if arguments.by == "user":
        return _written(split_by_user(folder, arguments.tf, arguments.spltseed, arguments.users_a_file))
    return _written(split_by_sample(folder, arguments.tf, arguments.spltseed, arguments.gap))


def _metrics(arguments: argparse.Namespace) -> Found:
    from pathlib import Path

    from fl_core.leaf.metrics import summarise, write_metrics
    from fl_core.runner import open_run

    stat, system, rows = write_metrics(open_run(arguments.run), Path(arguments.out))
    figures = summarise(rows)
    lines = [f"{name}: {one['mean']:.4f}, 10th {one['p10']:.4f}, 50th {one['p50']:.4f}, 90th {one['p90']:.4f}" for name, one in figures.items()]
    return {"stat": str(stat), "sys": str(system), "figures": figures}, lines


def _written(paths: Sequence[Any]) -> Found:
    return {"files": [str(path) for path in paths]}, [str(path) for path in paths]


def _stats(arguments: argparse.Namespace) -> Found:
    from pathlib import Path

    from fl_core.leaf.stats import count_samples, user_sizes

    found = count_samples(user_sizes(Path(arguments.folder)))
    return found, [f"{name:<10} {value:.2f}" if isinstance(value, float) else f"{name:<10} {value}" for name, value in found.items()]
