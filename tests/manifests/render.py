"""Renders a kustomization as `kubectl kustomize` does, for the features that ours use and no others; `make services-test` compares it with the real one.

Known: resources, configMapGenerator of files without a suffix, strategic-merge patches of one object each, and images.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]

MANIFESTS = Path(__file__).parents[2] / "manifests"
TARGETS = (
    "demo", "demo/overlays/minio", "demo/overlays/s3", "demo/overlays/standalone-kfp", "organisation", "organisation/overlays/minio",
    "organisation/overlays/s3", "standalone", "standalone/overlays/minio", "standalone/overlays/s3",
)  # fmt: skip
FIELDS = {"apiVersion", "kind", "resources", "configMapGenerator", "generatorOptions", "patches", "images"}
MERGE_KEYS = {"containers": "name", "initContainers": "name", "volumes": "name", "env": "name", "volumeMounts": "mountPath"}


def render(folder: Path) -> list[Object]:
    """The objects of a kustomization; ValueError for what this renderer does not know."""
    content = yaml.safe_load((folder / "kustomization.yaml").read_text())
    unknown = set(content) - FIELDS
    if unknown:
        raise ValueError(f"{folder} uses {', '.join(sorted(unknown))}, which this renderer does not know.")
    objects = [one for name in content.get("resources", []) for one in _load(folder / name)]
    objects += [_config_map(folder, entry, content) for entry in content.get("configMapGenerator", [])]
    for entry in content.get("patches", []):
        if set(entry) != {"path"}:
            raise ValueError(f"{folder} has the patch {entry}; this renderer knows patches by path alone.")
        for patch in _load(folder / entry["path"]):
            _apply(patch, objects)
    images = {entry["name"]: f"{entry.get('newName', entry['name'])}:{entry['newTag']}" for entry in content.get("images", [])}
    for container in (container for one in objects for container in containers(one)):
        container["image"] = images.get(container["image"], container["image"])
    return objects


def _load(path: Path) -> list[Object]:
    if path.is_dir():
        return render(path)
    return [deepcopy(one) for one in yaml.safe_load_all(path.read_text()) if one]


def _config_map(folder: Path, entry: Mapping[str, Any], content: Mapping[str, Any]) -> Object:
    if set(entry) != {"name", "namespace", "files"} or content.get("generatorOptions") != {"disableNameSuffixHash": True}:
        raise ValueError(f"{folder} generates {entry}; this renderer knows files, a name without a suffix and a namespace.")
    data = {Path(name).name: (folder / name).read_text() for name in entry["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": entry["name"], "namespace": entry["namespace"]}, "data": data}


def _apply(patch: Object, objects: list[Object]) -> None:
    """Merges the patch into the one object that it names."""
    places = [i for i, one in enumerate(objects) if identity(one) == identity(patch)]
    if len(places) != 1:
        raise ValueError(f"The patch of {identity(patch)} fits {len(places)} objects.")
    objects[places[0]] = _merged(objects[places[0]], patch)


def identity(one: Object) -> tuple[str, str, str, str]:
    return one["apiVersion"], one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]


def _merged(old: Any, new: Any, field: str = "") -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merged(old.get(key), value, key) for key, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list) and field in MERGE_KEYS:
        return _merged_by_key(old, new, MERGE_KEYS[field])
    return deepcopy(new)


def _merged_by_key(old: Sequence[Object], new: Sequence[Object], key: str) -> list[Object]:
    """Items of the same key are merged. The patch's come first, as kustomize has it."""
    there = {item[key]: item for item in old}
    patched = [_merged(there.get(item[key], {}), item) for item in new]
    return patched + [item for item in old if item[key] not in {one[key] for one in patched}]


def pod_spec(one: Object) -> Object | None:
    """The spec of the pods that an object makes, if it makes any."""
    if one["kind"] not in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
        return None
    spec: Object = one["spec"]["template"]["spec"]
    return spec


def containers(one: Object) -> Iterator[Object]:
    spec = pod_spec(one) or {}
    yield from [*spec.get("initContainers", []), *spec.get("containers", [])]
