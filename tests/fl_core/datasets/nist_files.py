"""A tree laid out like NIST's Special Database 19, of images drawn here or of QMNIST's digits.

python -m tests.fl_core.datasets.nist_files QMNIST_FOLDER OUT --writers 100
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from fl_core.datasets.mnist import mnist

SIDE = 128


def draw(seed: int) -> Image.Image:
    """Black strokes on white paper, in colour as NIST's files are."""
    random = np.random.default_rng(seed)
    pixels = np.full((SIDE, SIDE, 3), 255, np.uint8)
    left, top = random.integers(20, 60, 2)
    pixels[top : top + 50, left : left + 12] = 0
    pixels[top : top + 12, left : left + 40] = 0
    return Image.fromarray(pixels)


def write_tree(folder: Path, images: Iterable[tuple[str, str, Image.Image]]) -> Path:
    """Writes each (writer, class, image) into both halves of the tree, and what LEAF passes over beside them."""
    for number, (writer, name, image) in enumerate(images):
        of_class = folder / "by_class" / name / "hsf_0" / f"{writer}_{number:05d}.png"
        of_writer = folder / "by_write" / "hsf_0" / writer / f"c{writer[1:]}" / f"c{writer[1:]}_{number:05d}.png"
        for path in (of_class, of_writer):
            path.parent.mkdir(parents=True, exist_ok=True)
        image.save(of_class)
        of_writer.write_bytes(of_class.read_bytes())
        (of_class.parents[1] / "hsf_0.mit").write_text("hsf_0\n")
    return folder


def qmnist_images(folder: Path, writers: int) -> Iterable[tuple[str, str, Image.Image]]:
    """The digits of the first writers by number, enlarged to NIST's size, ink as black."""
    data = mnist(folder, shape="image")
    for place, writer in enumerate(np.unique(data.columns["writer"])[:writers].tolist()):
        for row in np.flatnonzero(data.columns["writer"] == writer).tolist():
            grey = Image.fromarray(np.uint8(255) - (data.train.x[row, 0] * 255).astype(np.uint8))
            yield f"f{writer:04d}_{place % 50:02d}", f"{0x30 + int(data.train.y[row]):x}", grey.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("qmnist", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--writers", type=int, default=100)
    given = parser.parse_args()
    write_tree(given.out, qmnist_images(given.qmnist, given.writers))
