"""The notebook, cell by cell in one namespace, without a kernel."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from fl_core.pool import Pool
from tests.pipelines.kfp_stub import TOKEN, kfp_stub

NOTEBOOK = Path(__file__).parents[1] / "examples" / "federation.ipynb"


def execute(cell: str, namespace: dict[str, Any]) -> Any:
    """Runs a cell as a kernel does: all of its lines, and the value of the last where it has one."""
    *lines, last = ast.parse(cell).body
    exec(compile(ast.Module(lines, []), NOTEBOOK.name, "exec"), namespace)
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), namespace)
    exec(compile(ast.Module([last], []), NOTEBOOK.name, "exec"), namespace)
    return None


def test_the_notebook_goes_from_arrays_to_a_run_a_pipeline_and_kubeflow(tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fl_core.runner.Pool", lambda processes: pool)
    for name in ("KF_PIPELINES_SA_TOKEN_PATH", "KF_PIPELINES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    cells = ["".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    namespace: dict[str, Any] = {}
    shown = [execute(cell, namespace) for cell in cells]

    assert sum(shown[0].values()) == len(namespace["central"].train)
    assert list(namespace["history"]) == [1, 2, 3, 4, 5]
    assert shown[2]["accuracy"] > 0.9
    assert (tmp_path / shown[3].src).read_text().startswith("<!DOCTYPE html>")
    assert set(shown[4]) == {"accuracy", "loss"}
    assert shown[5] == [], "the pipeline has nothing that lint minds"
    assert "/data/patients.npz" in (tmp_path / "federation" / "pipeline.yaml").read_text()
    assert namespace["submitted"] is None

    with kfp_stub() as server:
        (tmp_path / "token").write_text(TOKEN)
        monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", server.url)
        monkeypatch.setenv("FL_STORE", "s3://bucket/prefix")
        execute(cells[-1], namespace)
        assert server.kept["runs"][0]["runtime_config"]["parameters"]["store"] == "s3://bucket/prefix"


def test_the_notebook_is_kept_without_results() -> None:
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in cells] == [([], None)] * len(cells)
