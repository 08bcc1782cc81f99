"""Export: a published model as a folder of files for whoever uses it without this project: plain Paddle, Paddle Inference, or safetensors."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from fl_core import generator, registry
from fl_core.codec import Record, encode_record
from fl_core.errors import InputError
from fl_core.pool import Call, Pool
from fl_core.store import Store

Format = Literal["paddle", "inference", "safetensors"]
FILES: Mapping[Format, str] = {"paddle": "model.pdparams", "inference": "model", "safetensors": registry.MODEL}


def export(root: Store, address: str, format: Format, out: str | Path, pool: Pool) -> Record:
    """Writes a version to a new folder, with its record beside it, whole or not at all; gives the record.

    `paddle` writes `model.pdparams`, a state dict with the model's own names; `inference` writes `model.json` and `model.pdiparams`, and runs the program's
    code to do so; `safetensors` writes the published file. InputError where the folder holds something, or the program cannot be built again.
    """
    record, target = registry.read(root, address), Path(out).absolute()
    x = _example(record) if format == "inference" else None
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"'{target}' holds something already; export to a folder that does not exist yet.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fl-") as scratch:
            folder, model = Path(scratch) / "export", Path(scratch) / registry.MODEL
            folder.mkdir()
            (folder / registry.RECORD).write_bytes(encode_record(record))
            model.write_bytes(registry.read_model(root, record))
            if format == "safetensors":
                model.rename(folder / FILES[format])
            else:
                pool.about({"bundle": registry.read_bundle(root, record)})
                generator.call(pool, Call("export", {"model": str(model), "path": str(folder / FILES[format]), "x": x}))
            os.replace(folder, target)
    except OSError as error:
        raise InputError(f"The model cannot be written to {target}: {error.strerror}; choose another place.") from error
    return record


def _example(record: Record) -> Record:
    """Dtype and shape of an example; InputError where the version cannot be built again from what it holds."""
    model = f"{record['name']}/{record['version']}"
    if "program" in record["given"]:
        raise InputError(f"{model} was trained with a program given in Python, which is not in the registry; export it with --format paddle.")
    if record["x"] is None:
        raise InputError(f"{model} does not say what an example looks like, because no worker had any; export it with --format paddle.")
    return dict(record["x"])
