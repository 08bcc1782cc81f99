"""LEAF's Shakespeare from plain plays: every role of a play is a user, every letter of what it says a sample, with the 80 letters before it.

A play is text with `NAME<TAB>what is said` and `<TAB>what follows`; stage directions stand in brackets. As in LEAF each line of verse stands alone,
80 spaces before it and its end as the last letter to be told, and a role with one line is left out (Caldas et al. 2018, https://arxiv.org/abs/1812.01097).
"""

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

from fl_core.errors import InputError
from fl_core.leaf.files import UserData, write_file

WINDOW_LETTERS = 80
LINES_MIN = 2
PLAY_BYTES_MAX = 10_000_000
_DIRECTION = re.compile(r"\[[^\[\]]{0,1000}\]")
_OPENING = re.compile(r"^(ACT|INDUCTION|PROLOGUE)\b", re.MULTILINE)
_HEADING = re.compile(r"(ACT|SCENE)\b")


def write_plays(plays: Path, out: Path) -> list[int]:
    """Writes `all_data/all_data_<i>.json`, one a play that has roles; gives each role's number of samples."""
    if (out / "all_data").exists():
        raise InputError(f"'{out / 'all_data'}' exists already; name another folder.")
    sizes: list[int] = []
    count = 0
    for name, text in read_plays(plays):
        users = {f"{_word(name)}_{role}": window_lines(lines) for role, lines in sorted(split_roles(text).items()) if len(lines) >= LINES_MIN}
        if users:
            write_file(out / "all_data" / f"all_data_{count}.json", users, hierarchies=[name] * len(users))
            count += 1
            sizes += [len(data["y"]) for data in users.values()]
    if not sizes:
        raise InputError(f"'{plays}' holds no play; a role's line is its name, a tab and what it says, below a line that begins with ACT.")
    return sizes


def read_plays(path: Path) -> Iterator[tuple[str, str]]:
    """(name, text) of each .txt file of a folder or a tar archive, or of one .txt file, by name."""
    try:
        if path.is_dir() or path.suffix == ".txt":
            for file in sorted(path.glob("*.txt")) if path.is_dir() else [path]:
                yield file.stem, _text(file.read_bytes(), file)
            return
        with tarfile.open(path) as archive:
            for member in sorted((one for one in archive if one.isfile() and one.name.endswith(".txt")), key=lambda one: one.name):
                if member.size > PLAY_BYTES_MAX:
                    raise InputError(f"'{member.name}' in '{path}' has {member.size} bytes; a play has at most {PLAY_BYTES_MAX}.")
                content = archive.extractfile(member)
                assert content is not None, "a file of an archive has content"
                yield Path(member.name).stem, _text(content.read(), path)
    except OSError as error:
        raise InputError(f"The plays '{path}' cannot be read: {error.strerror or error}.") from error
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"'{path}' is neither a folder, a .txt file nor a tar archive of .txt files ({error}).") from error


def split_roles(text: str) -> dict[str, list[str]]:
    """The lines that each role says, in their order; a name's upper and lower case are one, and what stands before the first act is nobody's.

    >>> split_roles("ACT I\\nSCENE I\\tA heath.\\nWitch\\tWhen shall\\n\\t[Thunder]\\n\\twe meet?\\nMACBETH\\tSpeak.")
    {'WITCH': ['When shall', 'we meet?'], 'MACBETH': ['Speak.']}
    """
    opening = _OPENING.search(text)
    roles: dict[str, list[str]] = {}
    role = ""
    for line in _DIRECTION.sub("", text[opening.start() :] if opening else "").splitlines():
        name, tab, said = line.partition("\t")
        if _HEADING.match(line):
            role = ""
        elif name.strip() and tab:
            role = _word(name)
        said = " ".join(said.split())
        if role and tab and said:
            roles.setdefault(role, []).append(said)
    return roles


def window_lines(lines: list[str]) -> UserData:
    """A sample for each letter of each line and for its end: x the WINDOW_LETTERS letters before it, y the letter."""
    x, y = [], []
    for line in lines:
        padded = f"{' ' * WINDOW_LETTERS}{line}\n"
        for start in range(len(line) + 1):
            x.append(padded[start : start + WINDOW_LETTERS])
            y.append(padded[start + WINDOW_LETTERS])
    return {"x": x, "y": y}


def _word(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_").upper()


def _text(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"A play in '{path}' is not UTF-8 text ({error}).") from error
