"""Imports go downward only: pipelines -> components -> fl_core; Paddle in one file; the server's side without Paddle."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {"fl_core": {"kfp", "kubernetes", "components", "pipelines"}, "components": {"pipelines", "paddle", "kubernetes"}, "pipelines": {"paddle"}}
MAY_IMPORT_PADDLE = {"fl_core/learning.py", "fl_core/paddle_private.py", "fl_core/batched.py"}
SERVER_SIDE = ["scheduler", "server", "worker", "generator", "runner", "pool", "store", "journal", "job", "federation", "strategy"]


def imports(path: Path) -> set[str]:
    """The top packages that a file imports anywhere, and fl_core's own by full name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found | {name.partition(".")[0] for name in found}


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_go_downward_only(folder: str) -> None:
    wrong = {str(path): bad for path in sources(folder) if (bad := imports(path) & FORBIDDEN[folder])}
    assert not wrong


def test_paddle_is_imported_by_one_file_and_the_programs() -> None:
    importers = {str(path.relative_to(ROOT)) for path in sources("fl_core") if "paddle" in imports(path)}
    assert {name for name in importers if not name.startswith("fl_core/programs/")} - {"fl_core/program.py"} == MAY_IMPORT_PADDLE


def test_the_layers_test_sees_a_forbidden_import(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    from kfp import dsl\n")
    assert imports(bad) & FORBIDDEN["fl_core"] == {"kfp"}


def test_the_server_side_does_without_paddle() -> None:
    code = f"import sys; from fl_core import {', '.join(SERVER_SIDE)}; sys.exit('paddle' in sys.modules or 'kfp' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
