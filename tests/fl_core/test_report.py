"""The report page, from records written by hand: no training, no Paddle."""

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fl_core.codec import encode_state
from fl_core.errors import SignatureError
from fl_core.job import Job, parse_job
from fl_core.journal import journal
from fl_core.names import NumberedNames
from fl_core.report import render, write
from fl_core.report_facts import read_facts, stage_seconds
from fl_core.report_sections import _commands
from fl_core.run_folder import MANIFEST, Run, card_key, close_key, metrics_key, plan_key, state_key
from fl_core.signing import SERVER, make_key
from fl_core.store import DictStore, FileStore, Store
from fl_core.types import RoundState

DIGEST = "0123456789abcdef" * 4
Closed = tuple[Mapping[str, float], Mapping[str, str]]


def a_job(rounds: int = 3) -> Job:
    return parse_job(f"format: 1\nname: wards\nprogram: fl_core.programs.digits:program\ndata: {{name: digits}}\nrounds: {rounds}\n")


def a_run(clients: Any, closes: Sequence[Closed], *, finished: bool = True, store: Store | None = None, job: Job | None = None) -> Run:
    """A run of one worker after rounds in each of which clients trained to a loss or were left out for a reason."""
    run = a_new_run(job or a_job(), store or DictStore({}))
    names = clients.describe() if isinstance(clients, NumberedNames) else list(clients)
    key = make_key(run.private, "worker-0")
    run.put(card_key("worker-0"), {"worker": "worker-0", "clients": names, "sizes": 30, "fingerprint": DIGEST, "test": 5, "public_key": key})
    for round, (losses, left_out) in enumerate(closes, start=1):
        trained = {client: {"loss": loss, "seen": 30.0} for client, loss in losses.items()}
        missing = [{"client": client, "worker": "worker-0", "reason": why} for client, why in left_out.items()]
        run.put(close_key(round), {"round": round, "clients": trained, "left_out": missing, "replies": {}})
    for round in range(1, len(closes) + 2):
        run.put(metrics_key(round), {"round": round, "metrics": {"accuracy": round / (len(closes) + 2)}, "clients": {}})
    run.store.put(state_key(len(closes) + 1), encode_state(RoundState(len(closes) + 1, {"w": np.zeros(1, np.float32)})))
    if finished:
        run.put(plan_key(len(closes) + 1), {"round": len(closes) + 1, "finished": True, "why": "rounds"})
        run.put("summary.json", {"name": "wards", "digest": DIGEST, "seconds": 2.5, "rounds_per_second": 1.2, "reproducible": True, "resumed_from": None})
    return run


def a_new_run(job: Job, store: Store) -> Run:
    """A run that has its signed manifest and no more."""
    run = Run("by-hand", job, store)
    server_key = make_key(run.private, SERVER)
    facts = {"run": run.name, "digest": DIGEST, "code": {}, "given": [], "better": {}, "numerics": {"threads": 1}, "job": DIGEST}
    run.put(MANIFEST, {**facts, "server_key": server_key, "keys": "enrolled"})
    return run


class Elements(HTMLParser):
    """Every element of a page with its attributes, in order, and the text inside of each kind."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.text: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text[self.open[-1]] = self.text.get(self.open[-1], "") + data


TWO = a_run(["ann", "bob"], [({"ann": 2.0, "bob": 1.0}, {}), ({"ann": 1.5}, {"bob": "its loss is nan"}), ({"ann": 1.0, "bob": 0.5}, {})])


def test_a_finished_run_shows_its_name_final_metric_digest_and_how_to_reproduce_it() -> None:
    page = render(TWO)
    assert "<h1>wards</h1>" in page
    assert '<div class="value">0.8</div>' in page
    assert f'<code class="whole">{DIGEST}</code>' in page
    assert "again/job.yaml" in page
    assert "not finished" not in page


@pytest.mark.parametrize("has_code", [False, True])
def test_the_commands_that_reproduce_a_run_write_nothing_into_its_folder(has_code: bool, tmp_path: Path) -> None:
    run = a_run(["ann"], [({"ann": 2.0}, {})])
    folder, again = tmp_path / "run", tmp_path / "again"
    for key in ("job/job.yaml", *(["job/code/mine.py"] if has_code else [])):
        FileStore(folder).put(key, b"x")
    again.mkdir()
    facts = read_facts(run)
    told = _commands(replace(facts, manifest={**facts.manifest, "code": {"mine.py": DIGEST} if has_code else {}}), run.job)
    script = f"set -e\nmktemp() {{ echo '{again}'; }}\nfl() {{ echo \"$@\"; }}\n{unescape(re.sub('<[^>]+>', '', str(told)))}"
    said = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert said == f"run {again}/job.yaml --store {again}/store --json\n"
    assert sorted(path.name for path in again.iterdir()) == ["job.yaml", *(["mine.py"] if has_code else [])]
    assert FileStore(folder).list("") == ["job/code/mine.py", "job/job.yaml"][not has_code :]


def test_a_federation_is_reproduced_where_all_its_data_are() -> None:
    wards = "federation: {workers: [{name: worker-0, data: {name: digits}}]}\n"
    own = parse_job(f"format: 1\nname: wards\nprogram: fl_core.programs.digits:program\ndata: {{name: digits}}\nrounds: 3\n{wards}")
    takes_all = "takes the data of all of them in one place"
    assert takes_all in render(a_run(["ann"], [({"ann": 2.0}, {})], job=own))
    assert takes_all not in render(TWO)


def test_an_unfinished_run_says_so_and_how_to_go_on() -> None:
    page = render(a_run(["ann"], [({"ann": 2.0}, {})], finished=False))
    assert "This run is not finished: 1 of at most 3 rounds are done." in page
    assert "<code>fl resume .</code> in its folder" in page
    assert "not known before the run is finished" in page


def test_a_run_without_any_round_has_a_report() -> None:
    page = render(a_new_run(a_job(), DictStore({})))
    assert "0 of at most 3 rounds" in page
    assert "No round is done yet." in page


def test_a_left_out_client_is_marked_with_its_reason_and_listed() -> None:
    page = render(TWO)
    assert "<title>left out\nbob in round 2: its loss is nan</title>" in page
    assert "<td>bob</td><td>worker-0</td><td>2</td>" in page


def test_many_failures_of_one_kind_are_one_line() -> None:
    names = [f"c{i:02d}" for i in range(30)]
    some = (dict.fromkeys(names[5:], 1.0), dict.fromkeys(names[:5], "its loss is nan"))
    page = render(a_run(names, [some, some, ({}, dict.fromkeys(names, "was killed"))]))
    assert "<td>c00, c01, c02 and 2 more</td><td>worker-0</td><td>1 to 2</td>" in page
    assert "<td>c00, c01, c02 and 27 more</td><td>worker-0</td><td>3</td>" in page


def test_what_users_wrote_stays_text() -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    page = render(a_run([evil, "bob"], [({"bob": 1.0}, {evil: f"raised {evil}"}), ({evil: 1.0, "bob": 1.0}, {})]))
    elements = Elements(page)
    assert sum(tag == "script" for tag, _ in elements.found) == 1
    assert not any(tag == "img" or name.startswith("on") for tag, attributes in elements.found for name in attributes)
    assert evil in elements.text["td"]


def test_the_policy_allows_the_page_its_own_script_and_style_and_nothing_else() -> None:
    policies = [attributes["content"] for tag, attributes in Elements(render(TWO)).found if attributes.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    assert re.fullmatch(r"default-src 'none'; style-src 'sha256-[\w+/]{43}='; script-src 'sha256-[\w+/]{43}='", policies[0] or "")


def test_the_page_refers_to_nothing_outside_and_is_well_formed() -> None:
    elements = Elements(render(TWO))
    assert not any(name in ("src", "href", "style") for _, attributes in elements.found for name in attributes)
    assert "url(" not in elements.text["style"]
    assert "@import" not in elements.text["style"]
    assert (elements.unbalanced, elements.open) == ([], [])


def test_every_chart_says_what_it_shows_to_who_cannot_see_it() -> None:
    charts = [attributes for tag, attributes in Elements(render(TWO)).found if tag == "svg" and "aria-hidden" not in attributes]
    assert len(charts) >= 4
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)


def test_percentiles_are_those_of_the_clients_that_trained() -> None:
    run = a_run(["a", "b", "c"], [({"a": 1.0, "b": 2.0, "c": 3.0}, {})])
    assert read_facts(run).spreads == {"training loss": {1: (1.2, 2.0, 2.8)}}


def test_held_out_percentiles_of_the_evaluation_become_a_spread() -> None:
    run = a_run(["a"], [({"a": 1.0}, {})])
    run.store.delete(metrics_key(2))
    run.put(metrics_key(2), {"round": 2, "metrics": {"auc": 0.5, "auc_p10": 0.1, "auc_p50": 0.4, "auc_p90": 0.9}, "clients": {}})
    assert read_facts(run).spreads["held-out auc"] == {1: (0.1, 0.4, 0.9)}


def test_time_counts_an_evaluation_to_the_round_it_measures_and_a_repeated_stage_twice() -> None:
    events = [
        {"event": "stage", "stage": "evaluate", "round": 1, "seconds": 0.5},
        {"event": "stage", "stage": "train", "round": 1, "seconds": 2.0},
        {"event": "stage", "stage": "train", "round": 1, "seconds": 1.0},
        {"event": "stage", "stage": "evaluate", "round": 2, "seconds": 0.25},
        {"event": "closed", "stage": "close", "round": 1},
    ]
    assert stage_seconds(events) == {"evaluate": {0: 0.5, 1: 0.25}, "train": {1: 3.0}}


def test_the_journal_becomes_times_and_deaths() -> None:
    run = a_run(["ann"], [({"ann": 1.0}, {})])
    journal(run, "stage", stage="train", round=1, seconds=1.5)
    journal(run, "died", round=1, stage="train", worker="worker-0", part=0, client="ann", reason="was killed")
    page = render(run)
    assert "<td>train</td>" in page
    assert "1 attempt of a training process died" in page


def test_a_report_of_2000_rounds_and_1000_clients_is_below_a_megabyte() -> None:
    clients = NumberedNames(1000)
    closes = [({clients[(37 * r + k) % 1000]: 1.0 / (r + 1) for k in range(10)}, {clients[(r * 7) % 1000]: f"reason {r} " * 20}) for r in range(2000)]
    page = render(a_run(clients, closes, job=a_job(rounds=2000)))
    assert 50_000 < len(page.encode()) < 1_000_000
    assert "client-000 + 24" in page
    assert "of 22 000 times that a client was drawn" in page
    assert "rounds 1 to 10" in page


def test_many_clients_share_rows_and_many_rounds_columns_without_losing_anyone() -> None:
    clients = NumberedNames(100)
    part = read_facts(a_run(clients, [(dict.fromkeys(clients, 1.0), {})] * 401)).participation
    assert part is not None
    assert (len(part.rows), len(part.columns), part.columns[-1]) == (40, 134, (400, 401))
    assert sum(part.sizes) == 100
    assert part.took.sum() == 401 * 100
    assert np.allclose(part.shares, 1)


def test_writing_again_replaces_the_page_and_gives_its_path(tmp_path: Path) -> None:
    run = a_run(["ann"], [({"ann": 1.0}, {})], finished=False, store=FileStore(tmp_path / "run"))
    path = write(run)
    assert path == str(tmp_path / "run" / "report.html")
    run.put("summary.json", {"name": "wards", "digest": DIGEST, "seconds": 1.0, "rounds_per_second": 1.0, "reproducible": True})
    assert "is not finished" in Path(path).read_text()
    assert write(run) == path
    assert "is not finished" not in Path(path).read_text()


def test_a_store_that_is_no_folder_gives_the_uri_of_the_page() -> None:
    store = DictStore({}).at("runs/by-hand")
    assert write(a_run(["ann"], [({"ann": 1.0}, {})], store=store)) == "memory://runs/by-hand/report.html"
    assert store.exists("report.html")


def test_a_report_is_made_without_paddle() -> None:
    code = "import sys, fl_core.report; sys.exit('paddle' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_a_run_whose_summary_was_edited_gets_no_report() -> None:
    run = a_run(["ann"], [({"ann": 1.0}, {})])
    edited = bytes(run.store.get("summary.json")).replace(b"2.5", b"0.5")
    run.store.delete("summary.json")
    run.store.put("summary.json", edited)
    with pytest.raises(SignatureError, match=r"summary\.json"):
        render(replace(run))  # another process, which has not read it yet
