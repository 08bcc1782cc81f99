"""What who may write to a store can put in place of a run's code."""

from pathlib import Path

from fl_core.codec import decode_record, encode_record, sha256
from fl_core.run_folder import MANIFEST
from fl_core.signing import new_key, public_key, sign


def swap_code(folder: Path, key: bytes | None = None) -> Path:
    """Puts other code into the run in the folder, and a manifest that a fresh key signed, or this one. Gives the file that the code leaves when it is run."""
    mark, key = folder.parent / "EXECUTED", key or new_key()
    manifest = {word: value for word, value in decode_record((folder / MANIFEST).read_bytes(), MANIFEST).items() if word not in ("signer", "signature")}
    (name,) = manifest["code"]
    path = folder / "job/code" / name
    code = f"open({str(mark)!r}, 'w').close()\n{path.read_text()}"
    path.write_text(code)
    changed = {**manifest, "code": {name: sha256(code.encode())}, "server_key": public_key(key)}
    (folder / MANIFEST).write_bytes(encode_record(sign(changed, "server", key)))
    return mark
