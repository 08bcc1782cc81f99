import doctest
from pathlib import Path

import pytest
from PIL import Image

from fl_core import load_job, run
from fl_core.datasets.leaf import leaf
from fl_core.errors import InputError
from fl_core.leaf import femnist
from fl_core.leaf.femnist import number_class, shrink, write_femnist
from fl_core.leaf.files import index_file, read_user
from fl_core.leaf.preparation import split_by_sample
from fl_core.pool import Pool
from tests.fl_core.datasets.nist_files import draw, write_tree

EXAMPLE = Path(__file__).parents[3] / "examples" / "leaf" / "femnist_c3_e1.yaml"
NAMES = ["30", "39", "41", "5a", "61", "7a"]


@pytest.fixture
def nist(tmp_path: Path) -> Path:
    """Two writers; the first has written every class of NAMES, the second the first three."""
    both = [("f0001_02", NAMES, 0), ("f0000_14", NAMES[:3], 10)]
    return write_tree(tmp_path / "nist", [(writer, name, draw(first + i)) for writer, names, first in both for i, name in enumerate(names)])


def test_a_writer_s_images_are_joined_with_their_classes_by_their_bytes(nist: Path, tmp_path: Path) -> None:
    assert write_femnist(nist, tmp_path / "set") == [3, 6]
    first, second = index_file(tmp_path / "set" / "all_data" / "all_data_0.json")
    assert (first.user, second.user) == ("f0000_14", "f0001_02")
    assert read_user(first)["y"] == [0, 9, 10]
    assert read_user(second)["y"] == [0, 9, 10, 35, 36, 61]
    opened = leaf(tmp_path / "set", set="femnist").open("f0001_02")
    assert opened.x.shape == (6, 784)
    assert opened.x.reshape(6, 28, 28)[:, 0, 0].tolist() == [1.0] * 6, "1 is paper"
    assert (opened.x.min(axis=1) == 0).all(), "0 is ink"


def test_every_hundred_writers_are_a_file(tmp_path: Path) -> None:
    write_tree(tmp_path / "nist", [(f"f{number:04d}_00", "30", draw(number)) for number in range(101)])
    assert write_femnist(tmp_path / "nist", tmp_path / "set") == [1] * 101
    assert [len(index_file(tmp_path / "set" / "all_data" / f"all_data_{i}.json")) for i in (0, 1)] == [100, 1]


def test_an_image_shrinks_by_pillow_s_filter_in_one_step(tmp_path: Path) -> None:
    draw(3).save(tmp_path / "image.png")
    wanted = draw(3).convert("L").resize((28, 28), Image.Resampling.LANCZOS)
    assert shrink(tmp_path / "image.png") == [value / 255 for value in wanted.tobytes()]


def test_classes_are_numbered_digits_first_then_capitals_then_small_letters() -> None:
    assert [number_class(name) for name in NAMES] == [0, 9, 10, 35, 36, 61]
    assert doctest.testmod(femnist) == (0, 1)


def rename(nist: Path, old: str, new: str) -> None:
    (nist / old).rename(nist / new)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda nist: rename(nist, "by_write", "writers"), "holds no by_write/"),
        (lambda nist: rename(nist, "by_class", "classes"), "holds no by_class/"),
        (lambda nist: rename(nist, "by_class/30", "by_class/3a"), "holds the class '3a'"),
        (lambda nist: rename(nist, "by_class/30", "by_class/zero"), "holds the class 'zero'"),
        (lambda nist: rename(nist, "by_class/30/hsf_0", "by_class/30/train_30"), "is not in by_class, so that nobody knows what it shows"),
        (lambda nist: write_tree(nist, [("f0003_00", "30", Image.new("RGB", (128, 64)))]), "has 128 x 64 pixels; NIST's are square"),
        (lambda nist: [path.write_bytes(b"PNG") for path in nist.rglob("*.png")], "cannot be read"),
    ],
)
def test_what_is_no_nist_tree_is_one_sentence_and_leaves_nothing(nist: Path, tmp_path: Path, damage: object, sentence: str) -> None:
    assert callable(damage)
    damage(nist)
    with pytest.raises(InputError, match=sentence) as refused:
        write_femnist(nist, tmp_path / "set")
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.glob("set/*"))


def test_a_writer_in_two_parts_is_refused(nist: Path, tmp_path: Path) -> None:
    (nist / "by_write" / "hsf_1").mkdir()
    rename(nist, "by_write/hsf_0/f0000_14", "by_write/hsf_1/f0001_02")
    with pytest.raises(InputError, match=r"The writer 'f0001_02' is in '.*hsf_0' and in '.*hsf_1'"):
        write_femnist(nist, tmp_path / "set")


def test_the_example_trains_on_a_set_made_from_a_tree(nist: Path, tmp_path: Path, pool: Pool) -> None:
    write_femnist(nist, tmp_path / "set")
    split_by_sample(tmp_path / "set", 0.7, seed=0)
    job = load_job(EXAMPLE, [f"data.path={tmp_path / 'set'}", "rounds=1", "program.dense=8", "selection.clients_per_round=2"])
    summary = run(job, out=tmp_path / "run", pool=pool).summary
    assert (summary["examples"], summary["failures"]) == (2 + 4, [])
