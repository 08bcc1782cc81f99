import gzip
from pathlib import Path

import numpy as np
import pytest

from fl_core.datasets.mnist import mnist
from fl_core.errors import InputError

SHARED = Path(__file__).parents[4] / "shared" / "data" / "mnist"


def idx(magic: int, values: np.ndarray) -> bytes:
    return magic.to_bytes(4, "big") + b"".join(size.to_bytes(4, "big") for size in values.shape) + values.tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three training images of 2 x 2 pixels by writers 7, 7 and 9, and one test image, packed."""
    images = np.arange(12, dtype=np.uint8).reshape(3, 2, 2) * 20
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(0x0803, images))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(0x0801, np.array([1, 0, 1], np.uint8)))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(0x0803, images[:1])))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(0x0801, np.array([1], np.uint8))))
    (tmp_path / "qmnist-train-labels-idx2-int").write_bytes(idx(0x0C02, np.array([[1, 0, 7], [0, 0, 7], [1, 0, 9]], ">i4")))
    return tmp_path


def test_pixels_labels_and_writers_are_read(folder: Path) -> None:
    data = mnist(folder)
    assert data.test is not None
    assert np.allclose(data.train.x[0], np.array([0, 20, 40, 60]) / 255)
    assert data.train.y.tolist() == [1, 0, 1]
    assert data.columns["writer"].tolist() == [7, 7, 9]
    assert (data.train.x.dtype, data.train.y.dtype) == (np.float32, np.int64)
    assert data.test.x.shape == (1, 4)
    assert mnist(folder, shape="image").train.x.shape == (3, 1, 2, 2)


def test_the_first_images_alone_have_their_own_labels_and_writers(folder: Path) -> None:
    data = mnist(folder, first=2)
    assert (data.train.x == mnist(folder).train.x[:2]).all()
    assert (data.train.y.tolist(), data.columns["writer"].tolist()) == ([1, 0], [7, 7])
    assert len(mnist(folder, first=99).train) == 3
    with pytest.raises(InputError, match=r"data\.first is 0; it is at least 1"):
        mnist(folder, first=0)


def test_without_extended_labels_there_is_no_writer(folder: Path) -> None:
    (folder / "qmnist-train-labels-idx2-int").unlink()
    assert list(mnist(folder).columns) == ["label"]


def refused(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        mnist(folder)
    return str(caught.value).replace(f"{folder}/", "")


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "train-images-idx3-ubyte").unlink()
    assert refused(folder) == "The data file 'train-images-idx3-ubyte.gz' cannot be read: No such file or directory."


def test_a_cut_file_is_refused(folder: Path) -> None:
    file = folder / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1])
    assert refused(folder) == "'train-images-idx3-ubyte' holds 27 bytes, but its header promises 28; copy it again."


def test_a_cut_header_is_refused(folder: Path) -> None:
    (folder / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0\0")
    assert "'train-images-idx3-ubyte' holds 6 bytes, but its header promises" in refused(folder)


def test_a_cut_gzip_file_is_refused(folder: Path) -> None:
    file = folder / "t10k-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-9])
    assert refused(folder).startswith("The data file 't10k-images-idx3-ubyte.gz' is not a whole gzip file (")


def test_labels_in_the_place_of_images_are_refused(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").rename(folder / "train-images-idx3-ubyte")
    assert refused(folder) == "'train-images-idx3-ubyte' starts with the number 0x0801; an IDX file of images starts with 0x0803."


def test_labels_that_do_not_match_the_images_are_refused(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(0x0801, np.array([1, 0], np.uint8)))
    assert refused(folder) == "'train-labels-idx1-ubyte' holds 2 labels for 3 images; take both files from one set."


@pytest.mark.skipif(not SHARED.exists(), reason=f"the real MNIST is not at {SHARED}")
def test_the_real_mnist_has_539_writers() -> None:
    data = mnist(SHARED)
    assert data.test is not None
    assert (data.train.x.shape, len(data.test)) == ((60_000, 784), 10_000)
    assert len(np.unique(data.columns["writer"])) == 539
    assert data.train.y[:5].tolist() == [5, 0, 4, 1, 9]
