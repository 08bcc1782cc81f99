"""YAML as people write it: `1e-3` is a number, `on` and `no` are words, and a key that is there twice is an error rather than a surprise."""

import re
from typing import Any

import yaml

from fl_core.errors import InputError

_BOOL, _FLOAT, _EXPONENT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$")


class _Loader(yaml.SafeLoader):
    """PyYAML follows YAML 1.1, where `1e-3` is a word, `on` is true and the last of two equal keys wins."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key '{key.value}' is there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Writes what `_Loader` reads back as it was: the word '1e3' in quotes."""


for _kind in (_Loader, _Dumper):
    _kind.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL or first in "tTfF"] for first, resolvers in _kind.yaml_implicit_resolvers.items()
    }
    _kind.add_implicit_resolver(_FLOAT, _EXPONENT, list("-+0123456789"))


def read_yaml(text: str, what: str) -> Any:
    """The content; InputError that names `what` and the line where it is no YAML."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise InputError(f"{what} is not YAML{where}: {getattr(error, 'problem', None) or 'it cannot be read'}.") from error


def write_yaml(content: Any) -> str:
    """The content as YAML, its keys in their order."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
