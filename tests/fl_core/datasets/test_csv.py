import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fl_core.datasets.csv import csv
from fl_core.errors import InputError
from fl_core.types import Meaning

SHARED = Path(__file__).parents[4] / "shared" / "data"
CREDIT = SHARED / "credit_default" / "UCI_Credit_Card.csv.gz"
PARKINSONS = SHARED / "parkinsons_telemonitoring" / "parkinsons_updrs.data.gz"
TEXT = """id,age,hospital,income,sick
1,30,south,1.5,yes
2,40,north,2.5,no
3,50,north,3.5,no
"""


def write(folder: Path, text: str, name: str = "data.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_features_labels_and_columns_are_told_apart(tmp_path: Path) -> None:
    data = csv(write(tmp_path, TEXT), label="sick", columns=["hospital"], drop=["id"])
    assert data.train.x.tolist() == [[30, 1.5], [40, 2.5], [50, 3.5]]
    assert data.train.y.tolist() == [1, 0, 0]
    assert (data.train.x.dtype, data.train.y.dtype) == (np.float32, np.int64)
    assert data.columns["hospital"].tolist() == ["south", "north", "north"]
    assert data.columns["label"].tolist() == [1, 0, 0]


def test_features_can_be_named_in_an_order(tmp_path: Path) -> None:
    assert csv(write(tmp_path, TEXT), label="sick", features=["income", "age"]).train.x[0].tolist() == [1.5, 30]


@pytest.mark.parametrize(
    ("label", "regression", "expected", "dtype"),
    [("age", False, [0, 1, 2], np.int64), ("age", True, [30, 40, 50], np.float32), ("income", False, [1.5, 2.5, 3.5], np.float32)],
)
def test_whole_numbers_are_classes_unless_they_are_measured(tmp_path: Path, label: str, regression: bool, expected: list[float], dtype: type) -> None:
    y = csv(write(tmp_path, TEXT), label=label, features=["id"], regression=regression).train.y
    assert (y.tolist(), y.dtype) == (expected, dtype)


def test_standardising_uses_the_training_half_and_forgives_a_constant(tmp_path: Path) -> None:
    write(tmp_path, "a,b,y\n5,7,1\n", "test.csv")
    data = csv(write(tmp_path, "a,b,y\n1,7,0\n3,7,1\n"), label="y", standardise=True, test_path=tmp_path / "test.csv")
    assert data.test is not None
    assert data.train.x.tolist() == [[-1, 0], [1, 0]]
    assert data.test.x.tolist() == [[3, 0]]


def test_a_test_file_is_numbered_like_the_training_file(tmp_path: Path) -> None:
    test = write(tmp_path, "a,y\n1,dog\n", "test.csv")
    data = csv(write(tmp_path, "a,y\n1,cat\n2,dog\n"), label="y", test_path=test)
    assert data.test is not None
    assert data.test.y.tolist() == [1]


def test_the_names_of_features_and_classes_are_handed_on(tmp_path: Path) -> None:
    data = csv(write(tmp_path, TEXT), label="sick", columns=["hospital"], drop=["id"], standardise=True)
    assert data.meaning == Meaning(["age", "income"], ["no", "yes"])
    assert csv(write(tmp_path, TEXT), label="age", features=["income", "id"], test_share=0.4).meaning == Meaning(["income", "id"], ["30", "40", "50"])
    assert csv(write(tmp_path, TEXT), label="income", features=["age"]).meaning == Meaning(["age"])


def test_named_classes_are_numbered_in_their_order_whether_they_are_there_or_not(tmp_path: Path) -> None:
    test = write(tmp_path, "a,y\n1,cat\n", "test.csv")
    data = csv(write(tmp_path, "a,y\n1,dog\n2,ant\n"), label="y", classes=["dog", "cat", "ant"], test_path=test)
    assert data.test is not None
    assert (data.train.y.tolist(), data.train.y.dtype, data.test.y.tolist()) == ([0, 2], np.int64, [1])
    assert data.meaning.classes == ["dog", "cat", "ant"]
    assert csv(write(tmp_path, "a,y\n1,2\n2,1\n"), label="y", classes=[0, 1, "2"]).train.y.tolist() == [2, 1]


def test_a_share_is_split_off_with_its_columns(tmp_path: Path) -> None:
    data = csv(write(tmp_path, TEXT), label="sick", columns=["hospital"], drop=["id"], test_share=0.34)
    assert data.test is not None
    assert (len(data.train), len(data.test), len(data.columns["hospital"])) == (2, 1, 2)


def test_packed_files_quotes_marks_and_blank_lines_are_read(tmp_path: Path) -> None:
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress('\ufeff"a;b";y\r\n1;0\r\n\r\n2;1\r\n'.encode()))
    data = csv(tmp_path / "data.csv.gz", label="y", delimiter=";")
    assert data.train.x.tolist() == [[1], [2]]


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("", {}, "'data.csv' holds no examples; its first line names the columns, and each line below is one example."),
        ("a,y\n", {}, "'data.csv' holds no examples; its first line names the columns, and each line below is one example."),
        ("a,y\n1,0\n1,0,3\n", {}, "'data.csv' has 3 cells at line 3, but its first line names 2 columns; quote cells that hold the delimiter."),
        ("a,y\n1,0\n\nNA,1\n", {}, "'data.csv' holds 'NA' in column 'a' at line 4, where a number belongs; mend the cell or leave the column out."),
        ("a,y\n1,0\n,1\n", {}, "'data.csv' holds '' in column 'a' at line 3, where a number belongs; mend the cell or leave the column out."),
        ("a,y\n1,0\n2,\n", {}, "'data.csv' has no label at line 3; fill the cell or leave the line out."),
        ("a,a,y\n1,2,0\n", {}, "'data.csv' has two columns called 'a'; give each column a name of its own."),
        ("y\n1\n", {}, "'data.csv' has no column left to learn from beside the label, data.columns and data.drop; leave one feature."),
        ("income,y\n1,0\n", {"label": "incme"}, "data.label is 'incme', which is no column of 'data.csv'; did you mean 'income'?"),
        ("a,y\n1,0\n", {"drop": ["ID"]}, "data.drop is 'ID', which is no column of 'data.csv'; known are a, y."),
        ("a,y\n1,0\n", {"columns": ["city"]}, "data.columns is 'city', which is no column of 'data.csv'; known are a, y."),
        ("a,y\n1,0\n", {"features": ["b"]}, "data.features is 'b', which is no column of 'data.csv'; known are a, y."),
        ('a,y\n"1,0\n', {}, "'data.csv' has 1 cells at line 2, but its first line names 2 columns; quote cells that hold the delimiter."),
        ("a,y\n1,cow\n", {"classes": ["cat", "dog"]}, "'data.csv' holds the label 'cow', which data.classes does not; known are cat, dog."),
        ("a,y\n1,0\n", {"classes": ["0", 0]}, "data.classes names '0' twice; name each class once."),
        ("a,y\n1,0\n", {"classes": [0], "regression": True}, "data.regression is true, and measured labels have no data.classes; leave one of them out."),
        (
            "a,y\n1,0\n",
            {"test_path": Path("t.csv"), "test_share": 0.5},
            "data.test_share is 0.5, but data.test_path names a test set already; leave one of them out.",
        ),
    ],
)
def test_a_file_that_cannot_be_learnt_from_is_refused_in_one_sentence(tmp_path: Path, text: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        csv(write(tmp_path, text), **{"label": "y"} | options)
    assert str(caught.value).replace(f"{tmp_path}/", "") == sentence


def test_files_that_are_no_text_or_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.csv' cannot be read: No such file or directory."):
        csv(tmp_path / "none.csv", label="y")
    (tmp_path / "latin.csv").write_bytes("größe,y\n1,0\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin.csv' is not UTF-8 text \(byte 2\); save it as UTF-8."):
        csv(tmp_path / "latin.csv", label="y")
    (tmp_path / "data.csv.gz").write_bytes(b"a,y\n1,0\n")
    with pytest.raises(InputError, match=r"data.csv.gz' is not a whole gzip file"):
        csv(tmp_path / "data.csv.gz", label="y")


def test_a_class_that_is_only_tested_is_refused(tmp_path: Path) -> None:
    test = write(tmp_path, "a,y\n1,cow\n", "test.csv")
    with pytest.raises(InputError, match=r"test.csv' holds the label 'cow', which the training set does not; known are cat, dog."):
        csv(write(tmp_path, "a,y\n1,cat\n2,dog\n"), label="y", test_path=test)


@pytest.mark.skipif(not CREDIT.exists(), reason=f"the real credit set is not at {CREDIT}")
def test_the_real_credit_set_is_read() -> None:
    data = csv(CREDIT, label="default.payment.next.month", drop=["ID"], columns=["EDUCATION"], standardise=True, test_share=0.2)
    assert data.test is not None
    assert (data.train.x.shape, data.test.x.shape) == ((24_000, 22), (6_000, 22))
    assert np.concatenate([data.train.y, data.test.y]).mean() == pytest.approx(0.2212, abs=1e-4)


@pytest.mark.skipif(not PARKINSONS.exists(), reason=f"the real Parkinson's set is not at {PARKINSONS}")
def test_the_real_parkinsons_set_is_a_regression_of_42_subjects() -> None:
    data = csv(PARKINSONS, label="total_UPDRS", columns=["subject#"], drop=["motor_UPDRS"], delimiter="\t")
    assert data.train.x.shape == (5875, 19)
    assert data.train.y.dtype == np.float32
    assert len(np.unique(data.columns["subject#"])) == 42
