"""Validate objects with Kubernetes' own JSON schemas of a minor, in which an unknown field is an error.

The schemas are those of the PyPI package kubernetes-validate. Its own function takes 30 ms per object; the compiled validators here take
microseconds. Schemas of custom resources come from CRDs: those that the caller passes, and those inside the vllm-stack archive.
"""

import base64
import functools
import importlib.util
import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scout_chat.chart import archives
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.kubeyaml import KubeObject

if TYPE_CHECKING:
    import jsonschema_rs

METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


# Kubernetes' defaults of fields that identify a list item. The schemas describe them in words only.
_KEY_DEFAULTS = {"protocol": "TCP"}


@dataclass(frozen=True)
class Schema:
    """What Kubernetes' schema says about one value of an object.

    ``body`` is empty where it says nothing, as for a custom resource.
    """

    minor: str
    body: KubeObject

    def field(self, name: str) -> "Schema":
        """Return the schema of a field, or of a map's value."""
        below = self.body.get("properties", {}).get(name) or self.body.get("additionalProperties")
        return self._resolved(below if isinstance(below, dict) else {})

    def item(self) -> "Schema":
        """Return the schema of a list's items."""
        return self._resolved(self.body.get("items", {}))

    def is_set(self) -> bool:
        """Return whether the value is a list in which no item may stand twice."""
        return self.body.get("x-kubernetes-list-type") == "set"

    def keys(self) -> tuple[str, ...]:
        """Return the fields that identify an item of this list; empty if nothing does. Server-side apply merges by them."""
        return tuple(self.body.get("x-kubernetes-list-map-keys") or ())

    def _resolved(self, body: KubeObject) -> "Schema":
        if "$ref" in body:
            body = definitions(self.minor)[body["$ref"].rpartition("/")[2]] | {key: value for key, value in body.items() if key.startswith("x-")}
        return Schema(self.minor, body)


def schema_of(body: KubeObject, minor: str) -> Schema:
    """Return Kubernetes' schema of an object."""
    name = _names(minor).get(_kind(body))
    return Schema(minor, definitions(minor)[name] if name else {})


def key_values(item: KubeObject, keys: Iterable[str]) -> tuple[object, ...]:
    """Return the values that identify an item of a list, with Kubernetes' defaults for absent ones."""
    return tuple(item.get(key, _KEY_DEFAULTS.get(key)) for key in keys)


class NoSchema(UserError):
    """No schema describes the kind. This is a failure, never a pass."""


def validate(body: KubeObject, minor: str, crds: Iterable[KubeObject] = ()) -> list[str]:
    """Return what an API server of that minor with strict field validation refuses, as ``$.path: why``. ``crds`` are CRD objects.

    Raises NoSchema for a kind that neither Kubernetes nor a CRD describes.
    """
    errors = _validator(body, minor, crds).iter_errors(body)
    return [f"{_path(error.instance_path)}: {error.message if len(error.message) < 300 else error.message[:300] + '...'}" for error in errors]


def duplicates(body: KubeObject, minor: str) -> list[str]:
    """Return list items that server-side apply or a strategic merge cannot tell apart, as ``$.path: why``.

    Kubernetes' schema says which keys identify an item.
    """
    return list(_duplicates(body, schema_of(body, minor), "$"))


def from_archive(body: KubeObject) -> bool:
    """Return whether the object's CRD is in the vllm-stack archive only."""
    return _kind(body)[0] == "monitoring.coreos.com"


def _kind(body: KubeObject) -> tuple[str, str, str]:
    """Return group, version and kind. The group of the core API is empty."""
    group, _, version = str(body.get("apiVersion", "")).rpartition("/")
    return group, version, body["kind"]


@functools.cache
def _document(minor: str) -> KubeObject:
    spec = importlib.util.find_spec("kubernetes_validate")  # not imported: the import takes longer than the validation
    if not spec or not spec.origin:
        raise UserError("Kubernetes' schemas are not installed", "make setup")
    path = Path(spec.origin).parent / "kubernetes-json-schema" / f"v{minor}.0-local-strict" / "_definitions.json"
    if not path.exists():
        raise UserError(f"the package kubernetes-validate has no schemas of Kubernetes {minor}", "A newer release may have them: requirements.lock")
    document: KubeObject = json.loads(path.read_bytes())
    return document


def definitions(minor: str) -> dict[str, KubeObject]:
    """Return Kubernetes' types by their full names; references are ``#/$defs/<name>``. The result is shared: do not change it."""
    types: dict[str, KubeObject] = _document(minor)["$defs"]
    return types


@functools.cache
def _names(minor: str) -> dict[tuple[str, str, str], str]:
    """Return the name of each kind's definition."""
    known = definitions(minor).items()
    return {(gvk["group"], gvk["version"], gvk["kind"]): name for name, body in known for gvk in body.get("x-kubernetes-group-version-kind", [])}


@functools.cache
def _registry(minor: str) -> "jsonschema_rs.Registry":
    import jsonschema_rs

    return jsonschema_rs.Registry([(_document(minor)["$id"], _document(minor))])


def _compiled(schema: KubeObject, minor: str) -> "jsonschema_rs.Validator":
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(schema, registry=_registry(minor), formats={"byte": _base64}, validate_formats=True, offline=True)


@functools.cache
def _native(kind: tuple[str, str, str], minor: str) -> "jsonschema_rs.Validator":
    return _compiled({"$ref": f"{_document(minor)['$id']}#/$defs/{_names(minor)[kind]}"}, minor)


@functools.cache
def _archived(kind: tuple[str, str, str], minor: str) -> "jsonschema_rs.Validator | None":
    crd = archived_crd(kind[2])
    return _compiled(schema, minor) if crd and (schema := crd_schema(crd, kind, minor)) else None


def _validator(body: KubeObject, minor: str, crds: Iterable[KubeObject]) -> "jsonschema_rs.Validator":
    kind = _kind(body)
    if kind in _names(minor):
        return _native(kind, minor)
    for crd in crds:
        if schema := crd_schema(crd, kind, minor):
            return _compiled(schema, minor)
    if from_archive(body) and (found := _archived(kind, minor)):
        return found
    raise NoSchema(f"no schema is known for {body['apiVersion']} {body['kind']} in Kubernetes {minor}, and no CRD of it is at hand")


@functools.cache
def archived_crd(kind: str) -> KubeObject | None:
    """Return the CRD of a kind of the Prometheus operator from the vllm-stack archive. Raises ChartsMissing without the archive."""
    (archive,) = [found for found in archives.resolve(download=False) if found.name == "vllm-stack"]
    with tarfile.open(archive.path) as tar:
        for member in tar:
            if member.name.endswith(f"/crd-{kind.lower()}s.yaml") and (file := tar.extractfile(member)):
                crd: KubeObject = kubeyaml.load(file.read().decode())
                return crd
    return None


def crd_schema(crd: KubeObject, kind: tuple[str, str, str], minor: str) -> KubeObject | None:
    """Return the schema of the kind's objects, with unknown fields refused, if the CRD serves that version."""
    spec = crd["spec"]
    for version in spec["versions"]:
        if (spec["group"], version["name"], spec["names"]["kind"]) == kind and version["served"]:
            schema = _closed(version["schema"]["openAPIV3Schema"])
            own = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"$ref": f"{_document(minor)['$id']}#/$defs/{METADATA}"}}
            return schema | {"properties": schema.get("properties", {}) | own}
    return None


def _closed(schema: KubeObject) -> KubeObject:
    """Return a structural schema that refuses unknown fields, as an API server with strict field validation does."""
    closed = dict(schema)
    if "properties" in schema:
        closed["properties"] = {name: _closed(child) for name, child in schema["properties"].items()}
        # Every embedded resource may have these.
        if schema.get("x-kubernetes-embedded-resource"):
            closed["properties"] = {"apiVersion": {}, "kind": {}, "metadata": {}} | closed["properties"]
        if not schema.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" not in schema:
            closed["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            closed[key] = _closed(schema[key])
    if schema.get("nullable") and "type" in schema:
        closed["type"] = [schema["type"], "null"]
    return closed


def _duplicates(node: object, schema: Schema, path: str) -> Iterator[str]:
    if isinstance(node, dict):
        for key, child in node.items():
            if isinstance(child, dict | list) and (below := schema.field(key)).body:
                yield from _duplicates(child, below, f"{path}.{key}")
    elif isinstance(node, list):
        if keys := schema.keys():
            yield from _twice((dict(zip(keys, key_values(item, keys), strict=True)) for item in node), path)
        elif schema.is_set():
            yield from _twice(node, path)
        below = schema.item()
        for number, item in enumerate(node):
            yield from _duplicates(item, below, f"{path}[{number}]")


def _twice(values: Iterable[object], path: str) -> Iterator[str]:
    seen: list[object] = []
    for value in values:
        if value in seen:
            yield f"{path}: two entries of {', '.join(f'{key} {part}' for key, part in value.items()) if isinstance(value, dict) else value}"
        seen.append(value)


def _path(parts: list[str | int]) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" if re.fullmatch(r"[\w-]+", part) else f"[{part!r}]" for part in parts)


def _base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True) or not text)
    except ValueError:
        return False
