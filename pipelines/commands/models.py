"""`fl models list|show|promote|rollback|export`: the published models."""

import argparse
import json
from collections.abc import Callable
from typing import Any

Lines = list[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, function, help_text in (
        ("list", _list, "list the models and their versions"),
        ("show", _show, "show what a version is and rests on, and what was production when"),
        ("promote", _promote, "make a version production, if its gate lets it pass"),
        ("rollback", _rollback, "make the version production that was it before"),
        ("export", _export, "write a version for plain Paddle, for Paddle Inference, or as safetensors"),
    ):
        sub = commands.add_parser(name, help=help_text, description=f"{help_text[0].upper()}{help_text[1:]}.")
        sub.set_defaults(function=function)
        _add_words(sub, name)
        sub.add_argument("--store", default="file://store", metavar="ROOT", help="the store with the registry: file://… or s3://… (default: %(default)s)")
        sub.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def _add_words(sub: argparse.ArgumentParser, name: str) -> None:
    if name == "list":
        sub.add_argument("model", nargs="?", metavar="NAME", help="one model alone")
    elif name == "rollback":
        sub.add_argument("model", metavar="NAME", help="the model")
    else:
        sub.add_argument("model", metavar="NAME/VERSION", help="a version by number, or NAME/latest, or NAME/production")
    if name in ("promote", "rollback"):
        sub.add_argument("--because", default="", metavar="REASON", help=_BECAUSE[name])
    if name == "export":
        sub.add_argument("--format", choices=["paddle", "inference", "safetensors"], default="paddle", help="what to write (default: %(default)s)")
        sub.add_argument("-o", "--out", required=True, metavar="DIR", help="a folder that does not exist yet")


_BECAUSE = {"promote": "promote it even against the gate; the reason stays in the model's history", "rollback": "a reason for the model's history"}


def main(arguments: argparse.Namespace) -> None:
    from fl_core.store import open_store

    function: Callable[[argparse.Namespace, Any], tuple[dict[str, Any], Lines]] = arguments.function
    found, lines = function(arguments, open_store(arguments.store))
    print(json.dumps(found) if arguments.json else "\n".join(lines))


def _list(arguments: argparse.Namespace, root: Any) -> tuple[dict[str, Any], Lines]:
    from fl_core import registry
    from fl_core.errors import InputError

    wanted = registry.split(arguments.model)[0] if arguments.model else None
    there = registry.names(root)
    if wanted is not None and wanted not in there:
        raise InputError(registry.why_not_published(root, wanted))
    models, lines = [], []
    for name in there:
        if wanted not in (None, name):
            continue
        marks = {word: pointer.version for word in (registry.LATEST, registry.PRODUCTION) if (pointer := registry.read_pointer(root, name, word))}
        versions = [_read(root, name, number) for number in registry.numbers(root, name)]
        models.append({"name": name, **{word: marks.get(word) for word in (registry.LATEST, registry.PRODUCTION)}, "versions": versions})
        lines += [_line(record, [word for word, version in marks.items() if version == record["version"]]) for record in versions]
    return {"models": models}, lines or [f"Nothing was published to {root.uri}."]


def _read(root: Any, name: str, number: int) -> dict[str, Any]:
    """The record of a version, or why it cannot be read: the others are listed all the same."""
    from fl_core import registry
    from fl_core.errors import InputError, SignatureError

    try:
        return registry.read(root, f"{name}/{number}")
    except (InputError, SignatureError) as error:
        return {"name": name, "version": number, "error": str(error)}


def _line(record: dict[str, Any], marks: Lines) -> str:
    if "error" in record:
        return f"{record['name']}/{record['version']}  {record['error']}"
    metric = record["gate"]["metric"]
    facts = f"{metric} {record['metrics'][metric]:.4f}  {record['rounds']} rounds  {record['published']}  run {record['run']}"
    return f"{record['name']}/{record['version']}  {facts}  {' '.join(marks)}".rstrip()


def _show(arguments: argparse.Namespace, root: Any) -> tuple[dict[str, Any], Lines]:
    from fl_core import registry

    record = registry.read(root, arguments.model)
    registry.read_model(root, record)
    pointer = registry.read_pointer(root, record["name"], registry.PRODUCTION)
    history = list(pointer.history) if pointer else []
    lines = [f"{record['name']}/{record['version']}{' (production)' if pointer and pointer.version == record['version'] else ''}"]
    lines += [f"  {key:<15} {_shown(record[key])}" for key in _SHOWN]
    lines += ["  production was"] * bool(history)
    lines += [f"    {move['time']}  version {move['version']}  {move['how']}: {move['why']}{_because(move)}" for move in history]
    return {**record, "production": pointer.version if pointer else None, "history": history}, lines


_SHOWN = (
    "published", "run", "rounds", "metrics", "gate", "parent", "data", "privacy", "digest", "model_sha256", "job_digest", "program_sha256", "server_key"
)  # fmt: skip


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(inner)}" for key, inner in value.items())
    return f"{value:.6g}" if isinstance(value, float) else "none" if value is None else str(value)


def _because(move: dict[str, Any]) -> str:
    return f" Because: {move['because']}" if "because" in move else ""


def _promote(arguments: argparse.Namespace, root: Any) -> tuple[dict[str, Any], Lines]:
    from fl_core import registry
    from fl_core.errors import PolicyError

    verdict = registry.promote(root, arguments.model, because=arguments.because)
    if not verdict.passed:
        raise PolicyError(f"{arguments.model} was not promoted: {verdict.why}")
    record = registry.read(root, f"{registry.split(arguments.model)[0]}/{registry.PRODUCTION}")
    found = {"model": record["name"], "production": record["version"], "why": verdict.why}
    return found, [f"{record['name']}/{record['version']} is production: {verdict.why}"]


def _rollback(arguments: argparse.Namespace, root: Any) -> tuple[dict[str, Any], Lines]:
    from fl_core import registry

    left, version = registry.rollback(root, arguments.model, because=arguments.because)
    return {"model": arguments.model, "production": version, "left": left}, [f"{arguments.model}/{version} is production again, in place of version {left}."]


def _export(arguments: argparse.Namespace, root: Any) -> tuple[dict[str, Any], Lines]:
    from fl_core.export import export
    from fl_core.pool import open_pool

    with open_pool(1) as pool:
        record = export(root, arguments.model, arguments.format, arguments.out, pool)
    return {"model": record["name"], "version": record["version"], "format": arguments.format, "out": arguments.out}, [
        f"{record['name']}/{record['version']} was written to {arguments.out}."
    ]
