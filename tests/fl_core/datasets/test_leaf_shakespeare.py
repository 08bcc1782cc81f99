import tarfile
from pathlib import Path

import pytest

from fl_core.datasets.leaf import leaf
from fl_core.errors import InputError
from fl_core.leaf.files import index_file
from fl_core.leaf.shakespeare import read_plays, split_roles, window_lines, write_plays

PLAYS = Path(__file__).parents[4] / "shared" / "data" / "shakespeare_plays" / "plays.tar.gz"
PLAY = """\tMACBETH

DUNCAN\tKing of Scotland.

ACT I

SCENE I\tA desert place.

\t[Thunder. Enter
\tthree Witches]

First Witch\tWhen shall we three
\tmeet   again?

ALL\tFair is foul.

\t[Exeunt]

All\tHover.

Porter\tKnock.
"""


def test_lines_belong_to_the_last_name_and_directions_to_nobody() -> None:
    assert split_roles(PLAY) == {"FIRST_WITCH": ["When shall we three", "meet again?"], "ALL": ["Fair is foul.", "Hover."], "PORTER": ["Knock."]}


def test_every_letter_and_the_line_s_end_is_told_by_the_80_before_it() -> None:
    data = window_lines(["To"])
    assert data["x"] == [" " * 80, " " * 79 + "T", " " * 78 + "To"]
    assert data["y"] == ["T", "o", "\n"]


def test_a_play_becomes_a_file_of_its_roles_with_two_lines(tmp_path: Path) -> None:
    (tmp_path / "macbeth.txt").write_text(PLAY)
    sizes = write_plays(tmp_path / "macbeth.txt", tmp_path / "set")
    places = index_file(tmp_path / "set" / "all_data" / "all_data_0.json")
    assert [(place.user, place.hierarchy) for place in places] == [("MACBETH_ALL", "macbeth"), ("MACBETH_FIRST_WITCH", "macbeth")]
    assert sizes == [14 + 7, 20 + 12]
    assert leaf(tmp_path / "set", set="shakespeare").open("MACBETH_ALL").x.shape == (21, 80)


def test_a_folder_and_an_archive_hold_the_same_plays(tmp_path: Path) -> None:
    (tmp_path / "plays").mkdir()
    (tmp_path / "plays" / "b.txt").write_text(PLAY)
    (tmp_path / "plays" / "a.txt").write_text("A sonnet.")
    with tarfile.open(tmp_path / "plays.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "plays", "plays")
    assert list(read_plays(tmp_path / "plays")) == list(read_plays(tmp_path / "plays.tar.gz")) == [("a", "A sonnet."), ("b", PLAY)]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("gone.txt", None, "cannot be read: No such file"),
        ("plays.zip", b"PK", "is neither a folder, a .txt file nor a tar archive"),
        ("sonnets.txt", b"Shall I compare thee", "holds no play"),
        ("latin.txt", b"ACT I\nZo\xeb\tHere.", "is not UTF-8 text"),
    ],
)
def test_what_is_no_play_is_one_sentence(tmp_path: Path, name: str, content: bytes | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        write_plays(tmp_path / name, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_the_real_plays_have_about_the_roles_and_letters_of_leaf() -> None:
    if not PLAYS.exists():
        pytest.skip(f"{PLAYS} is not there")
    roles = [lines for _, text in read_plays(PLAYS) for lines in split_roles(text).values() if len(lines) > 1]
    assert len(roles) == 1226
    assert sum(len(line) + 1 for lines in roles for line in lines) == 4_302_399
