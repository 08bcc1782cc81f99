"""LEAF's FEMNIST from NIST's Special Database 19: every writer is a user, every character a sample.

The images lie there twice: `by_class/<class>/hsf_<n>/*.png` says what an image shows, `by_write/hsf_<n>/<writer>/<form>/*.png` who wrote it. An image's
bytes are the same in both, and join them (Caldas et al. 2018, https://arxiv.org/abs/1812.01097).
"""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from fl_core.errors import InputError
from fl_core.leaf.files import UserData, write_file

PIXELS = 28
WRITERS_A_FILE = 100
LEVELS = [value / 255 for value in range(256)]
DIGITS, CAPITALS, SMALL = (0x30, 0x39, 0), (0x41, 0x5A, 10), (0x61, 0x7A, 36)


def write_femnist(nist: Path, out: Path) -> list[int]:
    """Writes `all_data/all_data_<i>.json` with 100 writers each, by name, all or none; gives each writer's number of samples."""
    if (out / "all_data").exists():
        raise InputError(f"'{out / 'all_data'}' exists already; name another folder.")
    writers = sorted(find_writers(nist), key=lambda folder: folder.name)
    labels = label_images(nist)
    sizes: list[int] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".fl-") as scratch:
            made = Path(scratch) / "all_data"
            for first in range(0, len(writers), WRITERS_A_FILE):
                users = {folder.name: read_writer(folder, labels) for folder in writers[first : first + WRITERS_A_FILE]}
                write_file(made / f"all_data_{first // WRITERS_A_FILE}.json", users)
                sizes += [len(data["y"]) for data in users.values()]
            made.rename(out / "all_data")
    except OSError as error:
        raise InputError(f"The set cannot be written to '{out}': {error.strerror}.") from error
    return sizes


def find_writers(nist: Path) -> list[Path]:
    """The writers' folders that hold images; InputError where there are none, or two of one name."""
    folders = [folder for folder in sorted((nist / "by_write").glob("*/*")) if next(folder.glob("*/*.png"), None)]
    if not folders:
        raise InputError(f"'{nist}' holds no by_write/hsf_0/f0000_14/c0000_14/c0000_14_00000.png or the like; name the folder with by_class and by_write.")
    seen: dict[str, Path] = {}
    for folder in folders:
        if folder.name in seen:
            raise InputError(f"The writer '{folder.name}' is in '{seen[folder.name].parent}' and in '{folder.parent}'; keep one of them.")
        seen[folder.name] = folder
    return folders


def label_images(nist: Path) -> dict[bytes, int]:
    """The class of each image of `by_class` by the digest of its bytes; where two are the same, the first by name counts. `train_*` holds copies."""
    labels: dict[bytes, int] = {}
    for folder in sorted((nist / "by_class").glob("*/hsf_*")):
        if folder.is_dir():
            label = number_class(folder.parent.name)
            for path in _images(folder):
                labels.setdefault(_digest(_read(path)), label)
    if not labels:
        raise InputError(f"'{nist}' holds no by_class/4a/hsf_0/hsf_0_00000.png or the like; name the folder with by_class and by_write.")
    return labels


def number_class(name: str) -> int:
    """0 to 9 for digits, 10 to 35 for capitals, 36 to 61 for small letters, which NIST calls by their ASCII code.

    >>> number_class("30"), number_class("4a"), number_class("7a")
    (0, 19, 61)
    """
    try:
        code = int(name, 16)
    except ValueError:
        code = -1
    for low, high, first in (DIGITS, CAPITALS, SMALL):
        if low <= code <= high:
            return code - low + first
    raise InputError(f"by_class holds the class '{name}'; a class is the ASCII code of a digit or a letter in hexadecimal digits, such as 4a.")


def read_writer(folder: Path, labels: Mapping[bytes, int]) -> UserData:
    """The images of a writer in the order of their names, each as 784 numbers from 0 (ink) to 1 (paper), and their classes."""
    x: list[Sequence[float]] = []
    y: list[int] = []
    for form in sorted(folder.iterdir()):
        for path in _images(form):
            content = _read(path)
            label = labels.get(_digest(content))
            if label is None:
                raise InputError(f"The image '{path}' is not in by_class, so that nobody knows what it shows; unpack both archives whole.")
            x.append(shrink(path))
            y.append(label)
    return {"x": x, "y": y}


def shrink(path: Path) -> list[float]:
    """The image in grey at 28 x 28 pixels, row by row."""
    try:
        with Image.open(path) as image:
            grey = image.convert("L")
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"The image '{path}' cannot be read ({error}); unpack it again.") from error
    if grey.width != grey.height or grey.width < PIXELS:
        raise InputError(f"The image '{path}' has {grey.width} x {grey.height} pixels; NIST's are square, with 128 on each side.")
    # Without the gap Pillow filters as it did when LEAF was made.
    grey.thumbnail((PIXELS, PIXELS), Image.Resampling.LANCZOS, reducing_gap=None)
    return [LEVELS[value] for value in grey.tobytes()]


def _images(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.glob("*.png")))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"The image '{path}' cannot be read: {error.strerror}.") from error


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
