import json
from pathlib import Path

import pytest

from pipelines.cli import main
from tests.fl_core.datasets.leaf_files import write


def test_a_synthetic_set_is_made_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "leaf", "synthetic", "--users", "20", "--seed", "7", "--features", "3", "--out", str(tmp_path / "set"), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert main(["data", "leaf", "stats", str(tmp_path / "set"), "--json"]) == 0
    counted = json.loads(capsys.readouterr().out)
    assert made == {"file": str(tmp_path / "set" / "all_data" / "all_data.json"), **counted}
    assert counted["users"] == 20
    assert counted["samples"] == pytest.approx(20 * counted["mean"])


@pytest.mark.parametrize("words", [["--users", "0"], ["--classes", "1"], ["--features", "0"], ["--seed", "-1"]])
def test_a_synthetic_set_that_cannot_be_is_one_sentence(tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "leaf", "synthetic", *words, "--out", str(tmp_path / "set")]) == 2
    assert capsys.readouterr().err.startswith(f"{words[0]} is {words[1]}; it is a number from")
    assert not (tmp_path / "set").exists()


def test_a_set_is_not_made_over_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "all_data" / "all_data.json")
    before = path.read_bytes()
    assert main(["data", "leaf", "synthetic", "--users", "2", "--out", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_statistics_of_nothing_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "leaf", "stats", str(tmp_path)]) == 2
    assert "has no LEAF file with users" in capsys.readouterr().err
