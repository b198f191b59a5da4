"""Another valid value for a key: different from its default, and easy to find among the rendered objects."""

import json
import re

from scout_chat.core.kubeyaml import KubeObject

# Forms of text, the simplest first; the key's pattern decides which is valid.
TEXTS = ("MARK", "https://MARK.example.org", "MARK@example.org", "rediss://MARK:6379", "NUMBERs", "NUMBER", "/MARK")
# JSON for the types whose schema does not tell what is valid, by the name of the definition. A name with [] is a list of that type, whose
# items are appended to the default.
TYPES = {
    "labels": '{"MARK": "MARK"}',
    "annotations": '{"MARK": "MARK"}',
    "arguments": '["--MARK"]',
    "engineArguments": '["--MARK"]',
    "arguments[]": '["--MARK"]',
    "quantity": '"NUMBERMi"',
    "count": "NUMBER",
    "imageTag": '"MARK"',
    "secretReference": '{"secretName": "MARK", "secretKey": "MARK"}',
    "anyObject[]": '[{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "MARK"}}]',
    "Affinity": '{"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "MARK"}]}}',
    "Container[]": '[{"name": "MARK", "image": "example.org/MARK:1"}]',
    "DeploymentStrategy": '{"type": "RollingUpdate", "rollingUpdate": {"maxSurge": NUMBER}}',
    "EnvFromSource[]": '[{"secretRef": {"name": "MARK"}}]',
    "EnvVar[]": '[{"name": "ENVNUMBER", "value": "MARK"}]',
    "HostAlias[]": '[{"ip": "127.0.0.1", "hostnames": ["MARK"]}]',
    "LabelSelector": '{"matchLabels": {"MARK": "MARK"}}',
    "LocalObjectReference[]": '[{"name": "MARK"}]',
    "NetworkPolicyEgressRule[]": '[{"to": [{"podSelector": {"matchLabels": {"MARK": "MARK"}}}]}]',
    "NetworkPolicyPeer[]": '[{"podSelector": {"matchLabels": {"MARK": "MARK"}}}]',
    "NodeSelectorTerm[]": '[{"matchExpressions": [{"key": "MARK", "operator": "Exists"}]}]',
    "PodSecurityContext": '{"runAsUser": NUMBER}',
    "Probe": '{"httpGet": {"path": "/MARK", "port": 8000}}',
    "ResourceRequirements": '{"requests": {"cpu": "NUMBERm"}}',
    "SecurityContext": '{"runAsUser": NUMBER}',
    "ServicePort[]": '[{"name": "MARK", "port": NUMBER}]',
    "Toleration[]": '[{"key": "MARK", "operator": "Exists"}]',
    "TopologySpreadConstraint[]": '[{"maxSkew": 1, "topologyKey": "MARK", "whenUnsatisfiable": "ScheduleAnyway"}]',
    "Volume[]": '[{"name": "MARK", "emptyDir": {}}]',
    "VolumeMount[]": '[{"name": "MARK", "mountPath": "/MARK"}]',
    "EmptyDirVolumeSource": '{"sizeLimit": "NUMBERMi"}',
}


def another_value(node: KubeObject, definition: str, default: object, number: int) -> tuple[object, tuple[str, ...]]:
    """Return a valid value other than the default, and the texts that show its effect.

    ``node`` is the key's schema with ``definition`` resolved. ``number`` is unique to the key: one of the texts, made from it, must
    appear among the rendered objects. There are no texts if the value, such as a boolean, is not unique.
    Raises ValueError if no value is known.
    """
    mark = f"mark{number}"
    items = node.get("items", {})
    if node.get("type") == "array" and "$ref" in items:
        definition = items["$ref"].rpartition("/")[2] + "[]"
    if definition in TYPES:
        value = json.loads(_filled(TYPES[definition], mark, number))
        value = [*default, *value] if isinstance(value, list) and isinstance(default, list) else value
        return value, (mark, str(number))
    if choices := node.get("enum"):
        return next(choice for choice in choices if choice != default), ()
    types = node.get("type", "string")
    types = types if isinstance(types, list) else [types]
    if "boolean" in types:
        return not default, ()
    if "integer" in types or "number" in types:
        return _another_number(node, default, number, whole="integer" in types)
    if "array" in types:
        if choices := items.get("enum"):
            return [next(choice for choice in choices if [choice] != default)], ()
        item = {"object": {mark: mark}, "integer": number}.get(items.get("type", ""), mark)
        return [item], (mark, str(number))
    if "object" in types:
        return {mark: mark}, (mark,)
    return _another_text(node, mark, number)


def _another_number(node: KubeObject, default: object, number: int, whole: bool) -> tuple[object, tuple[str, ...]]:
    low, high = node.get("minimum", 0), node.get("maximum", 10**6)
    if not whole:
        return round((low + high) / 2 + 0.125, 3), ()
    if high > number:
        return number, (str(number),)
    return (low + 1 if default != low + 1 else low + 2), ()


def _another_text(node: KubeObject, mark: str, number: int) -> tuple[object, tuple[str, ...]]:
    for form in TEXTS:
        text = _filled(form, mark, number)
        if re.search(node.get("pattern", ""), text) and len(text) <= node.get("maxLength", 10**6):
            return text, (text,)
    raise ValueError(f"no value for {node}")


def _filled(form: str, mark: str, number: int) -> str:
    return form.replace("MARK", mark).replace("NUMBER", str(number))
