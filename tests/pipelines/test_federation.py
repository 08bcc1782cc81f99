"""`fl serve` and `fl work` as docs/federation.md has them: processes that meet in a store, for one run after another."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fl_core.run_folder import open_at
from fl_core.store import FileStore
from pipelines.cli import main
from tests.jobs import DIGITS

SHOWN = (["server", "--store", "file://root"], ["worker-1", "--private", "house-1"])
FL = str(Path(sys.executable).with_name("fl"))


def test_two_runs_in_a_row_end_well_under_the_keys_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(DIGITS.replace("name: fed_avg, local_epochs: 1", "name: scaffold").replace("rounds: 3", "rounds: 2"))
    summaries = []
    for run in ("spring", "summer"):
        place = ["job.yaml", "--store", "file://root", "--run", run, "--start-seconds", "60"]
        commands = [["serve", *place, "--json"], *(["work", *place, "--worker", f"worker-{i}", "--private", f"house-{i}", "--processes", "1"] for i in (0, 1))]
        roles = [subprocess.Popen([FL, *words], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for words in commands]
        said = [role.communicate(timeout=180) for role in roles]
        assert [role.returncode for role in roles] == [0, 0, 0], said
        summaries.append(json.loads(said[0][0]))
        assert ["for the first time" in err for _, err in said[1:]] == [run == "spring"] * 2
    assert summaries[0]["digest"] == summaries[1]["digest"]
    assert FileStore(tmp_path / "root.private").list("") == ["keys/server"]
    shown = [subprocess.run([FL, "keys", "show", *words], cwd=tmp_path, text=True, capture_output=True, check=True).stdout.strip() for words in SHOWN]
    run_of = FileStore(tmp_path / "root/runs/spring")
    assert shown == [open_at(run_of, FileStore(tmp_path)).public_key(name) for name in ("server", "worker-1")]
    keys = [key.split("/")[0] for key in FileStore(tmp_path / "house-1").list("")]
    assert keys.count("keys") == keys.count("trusted_server_keys") == 1
    assert keys.count("clients") == 2 * 3 * 2, "two runs, three clients, two rounds"


def test_the_two_hospitals_of_the_page_train_as_it_says(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/federation.md").read_text().split("## Two hospitals")[1].split("\n## ")[0]
    job = page.split("```yaml")[1].split("```")[0].replace("rounds: 20", "rounds: 2")
    commands = [line.split()[1:] for line in page.splitlines() if line.startswith("    fl ")]
    roles = []
    for house, words in enumerate(commands):
        place = tmp_path / f"house-{house}"
        place.mkdir()
        (place / "job.yaml").write_text(job)
        if words[0] == "work":
            rows = [f"{40 + row},{90 - row % 7 * house},{('benign', 'malignant', 'normal')[row % (house + 1)]}" for row in range(20)]
            (place / "patients.csv").write_text("\n".join(["age,pressure,diagnosis", *rows]))
        words = [str(tmp_path / "root") if word.startswith("s3:") else "private" if word == "/srv/fl" else word for word in words]
        roles.append(subprocess.Popen([FL, *words, "--start-seconds", "60"], cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    said = [role.communicate(timeout=180) for role in roles]
    assert [role.returncode for role in roles] == [0, 0, 0], said
    assert "accuracy_held_out" in said[0][0]


@pytest.mark.usefixtures("warm")
def test_a_list_of_what_leaves_says_where_it_does_not_bind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "job.yaml").write_text(DIGITS)
    words = ["work", str(tmp_path / "job.yaml"), "--store", str(tmp_path / "root"), "--run", "spring", "--worker", "worker-1", "--dry-run"]
    assert main(words) == 0
    bound = capsys.readouterr()
    assert "does not bind" not in bound.err
    assert main([*words, "--trust-any-program"]) == 0
    told = capsys.readouterr()
    assert told.out == bound.out
    assert "worker-1: this list does not bind, because --trust-any-program was said" in told.err
