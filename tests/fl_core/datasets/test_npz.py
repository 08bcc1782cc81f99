from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fl_core.datasets.npz import npz
from fl_core.errors import InputError
from fl_core.types import Meaning

SHARED = Path(__file__).parents[4] / "shared" / "data" / "uci_har" / "uci_har_train21.npz"
X, Y = np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1], np.int32)


def save(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "data.npz", **arrays)
    return folder / "data.npz"


def test_arrays_are_read_and_cast_and_columns_are_found(tmp_path: Path) -> None:
    data = npz(save(tmp_path, x=X, y=Y, hospital=np.array(["a", "a", "b", "b"]), note=np.zeros(3)))
    assert (data.train.x.dtype, data.train.y.dtype) == (np.float32, np.int64)
    assert data.columns["hospital"].tolist() == ["a", "a", "b", "b"]
    assert sorted(data.columns) == ["hospital", "label"]
    assert data.test is None


def test_a_test_set_is_read_or_split_off(tmp_path: Path) -> None:
    given = npz(save(tmp_path, x=X, y=Y, x_test=X[:1], y_test=Y[:1]))
    split = npz(save(tmp_path, x=X, y=Y), test_share=0.25)
    assert given.test is not None
    assert split.test is not None
    assert (len(given.train), len(given.test)) == (4, 1)
    assert (len(split.train), len(split.test), len(split.columns["label"])) == (3, 1, 3)


def test_names_of_features_and_classes_are_handed_on(tmp_path: Path) -> None:
    names = {"feature_names": np.array(["age", "pressure"]), "class_names": np.array(["no", "yes", "maybe"])}
    given = npz(save(tmp_path, x=X, y=Y, **names, x_test=X, y_test=Y))
    assert given.meaning == Meaning(["age", "pressure"], ["no", "yes", "maybe"])
    assert npz(save(tmp_path, x=X, y=Y, **names), test_share=0.5).meaning == given.meaning
    assert sorted(given.columns) == ["label"]


def test_names_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    assert refused(save(tmp_path, x=X, y=Y, feature_names=np.array(["age"]))) == (
        "'data.npz' holds 1 feature_names, but an example of x has the shape (2,); give a name for each feature."
    )
    assert refused(save(tmp_path, x=X, y=Y, class_names=np.array(["no"]))) == (
        "'data.npz' holds 1 class_names, but y is not all whole numbers from 0 to 0; give a name for each class."
    )
    assert refused(save(tmp_path, x=X, y=Y, class_names=Y)) == "'data.npz' holds int32 of shape (4,) under 'class_names'; it is a list of words."


def refused(path: Path, test_share: float = 0) -> str:
    with pytest.raises(InputError) as caught:
        npz(path, test_share=test_share)
    return str(caught.value).replace(f"{path.parent}/", "")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.npz") == "The data file 'none.npz' cannot be read: No such file or directory."


def test_a_file_without_x_or_y_is_refused(tmp_path: Path) -> None:
    assert refused(save(tmp_path, X_train=X, y=Y)) == "'data.npz' has no array 'x'; known are X_train, y."
    assert refused(save(tmp_path, x=X, labels=Y)) == "'data.npz' has no array 'y'; known are labels, x."
    assert refused(save(tmp_path, x=X, y=Y, x_test=X)) == "'data.npz' has no array 'y_test'; did you mean 'x_test'?"


def test_pickled_objects_are_never_opened(tmp_path: Path) -> None:
    path = save(tmp_path, x=np.array([{"a": 1}, None], object), y=Y[:2])
    assert refused(path) == (
        "'data.npz' is not an .npz file of plain arrays (Object arrays cannot be loaded when allow_pickle=False); "
        "write it with np.savez and no Python objects in it."
    )


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.save(tmp_path / "one.npy", X)
    for content in (b"", b"no numbers at all", save(tmp_path, x=X, y=Y).read_bytes()[:-30], (tmp_path / "one.npy").read_bytes()):
        path.write_bytes(content)
        assert refused(path).startswith("'data.npz' is not an .npz file of plain arrays (")


def test_words_for_examples_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path, x=X, y=np.array(["a", "b", "a", "b"]))
    assert refused(path) == "'data.npz' holds <U1 of shape (4,) under 'y'; it is an array of numbers, one row an example."


def test_two_test_sets_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path, x=X, y=Y, x_test=X, y_test=Y)
    assert refused(path, test_share=0.5) == "data.test_share is 0.5, but 'data.npz' holds a test set already; leave the share out."


@pytest.mark.skipif(not SHARED.exists(), reason=f"the real UCI HAR set is not at {SHARED}")
def test_the_real_har_set_has_21_subjects() -> None:
    data = npz(SHARED)
    assert data.train.x.shape == (7352, 561)
    assert np.bincount(data.train.y).tolist() == [1226, 1073, 986, 1286, 1374, 1407]
    assert len(np.unique(data.columns["subject"])) == 21
