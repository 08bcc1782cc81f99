"""Small LEAF files for tests."""

import json
from pathlib import Path
from typing import Any

TWO = {"ann": {"x": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "y": [0, 1, 0]}, "bob": {"x": [[7.0, 8.0], [9.0, 0.5]], "y": [1, 1]}}


def content(users: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A LEAF file's content; `more` replaces its keys."""
    users = TWO if users is None else users
    return {"users": list(users), "num_samples": [len(data["y"]) for data in users.values()], "user_data": users, **more}


def write(path: Path, whole: dict[str, Any] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content() if whole is None else whole))
    return path
