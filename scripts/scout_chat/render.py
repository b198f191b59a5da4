"""Renders the chart with the real Helm: values files and options in, Kubernetes objects out."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from .errors import UserError
from .paths import CHART, PRESETS
from .pins import pins
from .tools import tool


@dataclass(frozen=True)
class Case:
    """One render: which values, for which cluster, by which Helm. ``values`` are names under values/ (``overlays/vllm-router``)."""

    name: str
    values: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    release: str = "chat"
    namespace: str = "chat"
    kubernetes: str = field(default_factory=lambda: pins().kubernetes[0])
    helm: str = "helm"

    def options(self) -> list[str]:
        """The values options, for any helm command."""
        files = [part for name in self.values for part in ("-f", str(PRESETS / f"{name}.yaml"))]
        return files + [part for value in self.sets for part in ("--set", value)]


# What snapshots hold and the tests render: every preset with either router, and what combines with them.
CASES = {
    case.name: case
    for case in [
        Case("gpt-oss", ("gpt-oss",)),
        Case("gpt-oss-vllm-router", ("gpt-oss", "overlays/vllm-router")),
        Case("gpt-oss-compatibility", ("gpt-oss", "overlays/compatibility")),
        Case("gpt-oss-20b", ("gpt-oss-20b",)),
        Case("qwq-32b", ("qwq-32b",)),
        Case("local", ("local",)),
        Case("local-node-port", ("local", "overlays/node-port")),
        Case("local-two-engines", ("local", "overlays/node-port", "overlays/two-engines")),
        Case("external", ("external",)),
    ]
}


@dataclass(frozen=True)
class Object:
    """A rendered object and the chart that rendered it (``scout-chat``, ``vllm-stack``, ``open-webui``)."""

    chart: str
    body: dict

    @property
    def kind(self) -> str:
        return self.body["kind"]

    @property
    def name(self) -> str:
        return self.body["metadata"]["name"]


class RenderError(UserError):
    """Helm refused. The message is Helm's, without its wrapping."""


def render(case: Case, chart: Path = CHART) -> list[Object]:
    """The objects of the case, CRDs and hooks included, in Helm's order.

    Raises RenderError with the chart's own message if a value is refused. A warning of Helm's about values that do not fit
    together is an error as well: it means that a key was dropped.
    """
    command = [tool(case.helm), "template", case.release, str(chart), "--namespace", case.namespace, "--include-crds"]
    command += ["--kube-version", case.kubernetes]
    result = subprocess.run([*command, *case.options()], capture_output=True, text=True, env=os.environ | {"GOGC": "off"})
    if result.returncode:
        raise RenderError(refusal(result.stderr))
    if "warning: " in result.stderr:  # Helm 3 says "coalesce.go:237: warning: ", Helm 4 "level=INFO msg=\"warning: "
        raise RenderError(f"Helm dropped a value: {result.stderr.strip()}")
    return parse(result.stdout)


def refusal(stderr: str) -> str:
    """What the chart said, out of ``Error: execution error at (file:1:2): message`` and the advice around it."""
    message = stderr.rpartition("Error: ")[2].strip().removesuffix("Use --debug flag to render out invalid YAML").strip()
    return re.sub(r"^(INSTALLATION FAILED: |UPGRADE FAILED: )?execution error at \([^)]*\): ", "", message)


def parse(manifest: str) -> list[Object]:
    """Objects of a rendered manifest; the chart is read from Helm's ``# Source:`` line."""
    objects = []
    for document in re.split(r"^---\n", manifest, flags=re.MULTILINE):
        source = re.search(r"^# Source: (\S+)", document)
        body = yaml.load(document, Loader)
        if body:
            path = source[1].split("/") if source else ["scout-chat"]
            objects.append(Object(path[2] if len(path) > 2 and path[1] == "charts" else path[0], body))
    return objects


class Loader(yaml.CSafeLoader):
    """YAML as Helm and Kubernetes read it: a duplicate key is an error, a date is a string."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _mapping(loader: Loader, node: yaml.MappingNode) -> dict:
    keys = [key.value for key, _ in node.value]
    if duplicates := {key for key in keys if keys.count(key) > 1}:
        raise RenderError(f"duplicate keys in a rendered object: {', '.join(sorted(duplicates))}, line {node.start_mark.line + 1}")
    return loader.construct_mapping(node, deep=True)


Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
