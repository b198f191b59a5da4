"""Small Kubernetes objects for tests of what a change does."""

import copy

from scout_chat.chart.render import Object
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.review.diff import changes_between
from scout_chat.review.report import Change

ENGINE = {"app.kubernetes.io/component": "serving-engine", "model": "m"}


def deployment(labels: dict[str, str] | None = None, **container: object) -> KubeObject:
    labels = labels or {"app": "web"}
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "web", "labels": {"helm.sh/chart": "scout-chat-0.1.0", "app.kubernetes.io/version": "1.0"}},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": dict(labels)},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "web:1"} | container]}},
        },
    }


def manifest(kind: str, metadata: KubeObject | None = None, **fields: object) -> KubeObject:
    return {"kind": kind, "apiVersion": "v1", "metadata": {"name": "thing", **(metadata or {})}, **fields}


def pvc(size: str, metadata: KubeObject | None = None) -> KubeObject:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return manifest("PersistentVolumeClaim", metadata, spec=spec)


def stateful_set(**fields: object) -> KubeObject:
    return manifest("StatefulSet", spec={"serviceName": "a", "replicas": 1, "template": deployment()["spec"]["template"], **fields})


def edited(body: KubeObject, path: str, value: object) -> KubeObject:
    """Return a copy with the value at ``path``, such as ``spec/containers/0/image``."""
    body = copy.deepcopy(body)
    at, keys = body, path.split("/")
    for key in keys[:-1]:
        at = at[int(key)] if isinstance(at, list) else at.setdefault(key, {})
    at[keys[-1]] = value
    return body


def changes(old: list[KubeObject], new: list[KubeObject], chart: str = "scout-chat") -> list[Change]:
    """Return the changes from one render to another."""
    return list(changes_between([Object(chart, body) for body in old], [Object(chart, body) for body in new]))
