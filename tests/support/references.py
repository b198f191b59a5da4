"""Which objects an object names: Secrets, ConfigMaps, PVCs and ServiceAccounts."""

from collections.abc import Iterator

from scout_chat.chart.render import Object

from tests.support.object_index import Manifests

# The object, the place in it, kind and name that it names, a key inside (or None), and whether the target may be absent.
Reference = tuple[Object, str, str, str, str | None, bool]
FIELDS = {"secretKeyRef": "Secret", "secretRef": "Secret", "configMapKeyRef": "ConfigMap", "configMapRef": "ConfigMap"}


def references_by_field(manifests: Manifests) -> Iterator[Reference]:
    """Yield references of fields that mean the same in every kind, custom resources included."""
    for item, path, node in manifests.nodes:
        where = ".".join(path[:-1])
        if path and path[-1] in FIELDS and isinstance(node, dict):
            yield item, where, FIELDS[path[-1]], node["name"], node.get("key"), node.get("optional", False)
        if path and path[-1] == "imagePullSecrets" and isinstance(node, list):
            yield from ((item, where, "Secret", entry["name"], None, False) for entry in node)


def references_of_pods(manifests: Manifests) -> Iterator[Reference]:
    """Yield references of ServiceAccounts and volumes."""
    for pod in manifests.pods:
        if (account := pod.spec.get("serviceAccountName")) not in (None, "default"):
            yield pod.owner, "serviceAccountName", "ServiceAccount", account, None, False
        for volume in pod.spec.get("volumes") or []:
            where = f"volume {volume['name']}"
            if claim := volume.get("persistentVolumeClaim"):
                yield pod.owner, where, "PersistentVolumeClaim", claim["claimName"], None, False
            for source in [volume, *((volume.get("projected") or {}).get("sources") or [])]:
                for field, kind, key in (("secret", "Secret", "secretName" if source is volume else "name"), ("configMap", "ConfigMap", "name")):
                    if field in source:
                        optional = source[field].get("optional", False)
                        for wanted in [None, *(entry["key"] for entry in source[field].get("items") or [])]:
                            yield pod.owner, where, kind, source[field][key], wanted, optional
