"""Objects in the form in which they are compared, and values as a report shows them. Secrets are hidden in both."""

import base64
import hashlib
import json
import os
import re
from typing import Any

import yaml

from scout_chat.core.kubeyaml import KubeObject

# To Kubernetes an empty one of these fields is the same as an absent one.
MAPS = ("labels", "annotations", "data", "binaryData")
# The ConfigMap of the chat's environment, which has a hash in its name.
ENVIRONMENT = re.compile(r"(-webui-env-)([0-9a-f]{10})\b")

HIDDEN = "(hidden)"
# Random for each process, so that nobody can guess a hidden value by hashing candidates.
_SALT = os.urandom(16)
_SECRET_NAME = re.compile(r"(?i)passw|secret|credential|(api|private)[-_]?key(?!s)|(?<!tik)token(?!s|i)")
# Values of a chart: those that can be a secret, by their key and the key above, and those of them that only name a Secret.
_SECRET_VALUE = re.compile(rf"{_SECRET_NAME.pattern}|api_?keys|access_?key|azure\.key$")
_NAMES_A_SECRET = re.compile(r"(?i)existingsecret|secretname|pullsecret|fromsecret|secret(key)?ref")
# In a map that names a Secret, these name a key in it. A text with a digit may be a secret in the wrong place.
_SECRET_OF_A_MAP, _KEY_OF_A_SECRET = ("existingSecret", "secretName"), ("key", "secretKey", "passwordKey")
_NAME_OF_A_KEY = re.compile(r"[A-Za-z][A-Za-z_.-]{0,40}")
_HIDDEN_VALUE = re.compile(r"\(hidden [0-9a-f]{16}\)")
# Characters that control a terminal, or change the direction of writing.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def normalize(body: KubeObject) -> KubeObject:
    """Return the object as it is compared.

    Values that Kubernetes treats as absent are absent, secrets are hidden, and the chat's environment has one name.
    """
    body = dict(body)
    body["metadata"] = {key: value for key, value in body["metadata"].items() if key != "namespace"}
    if body["kind"] == "Secret":
        # The API server merges stringData into data in the same way.
        strings = {key: base64.b64encode(str(value).encode()).decode() for key, value in (body.pop("stringData", None) or {}).items()}
        body["data"] = {key: _hidden(value) for key, value in ((body.get("data") or {}) | strings).items()}
    normal: KubeObject = _normal(body)
    return normal


def hide_secrets(value: Any, above: str = "", name: str = "") -> Any:
    """Return values of a chart in which secrets are hidden. ``above``: the value's last two keys. ``name``: its variable or flag."""
    if isinstance(value, dict):
        variable = str(value["name"]) if isinstance(value.get("name"), str) and "value" in value else ""
        key = above.rpartition(".")[2]
        shown_keys = _KEY_OF_A_SECRET if any(value.get(name) for name in _SECRET_OF_A_MAP) else ()
        return {
            child: held
            if child in shown_keys and isinstance(held, str) and _NAME_OF_A_KEY.fullmatch(held)
            else hide_secrets(held, f"{key}.{child}", variable if child == "value" else "")
            for child, held in value.items()
        }
    if isinstance(value, list):
        return [hide_secrets(item, above, flag) for item, flag in zip(value, _flags(value), strict=False)]
    if value not in (None, "") and not isinstance(value, bool) and _SECRET_VALUE.search(above) and not _NAMES_A_SECRET.search(above):
        return _hidden(value)
    return _normal_text(value, name) if isinstance(value, str) else value


def _normal(value: Any, name: str = "") -> Any:
    """Return the value as it is compared. ``name`` is the key, the variable or the flag that it belongs to."""
    if isinstance(value, dict):
        # An environment variable is {name, value}: the name beside the value says whether it is secret.
        variable = str(value["name"]) if isinstance(value.get("name"), str) and "value" in value else ""
        children = {str(key): _normal(child, variable if key == "value" else str(key)) for key, child in value.items()}
        return {key: child for key, child in children.items() if child is not None and child != [] and (child != {} or key not in MAPS)}
    if isinstance(value, list):
        return [_normal(item, flag) for item, flag in zip(value, _flags(value), strict=False)]
    return _normal_text(value, name) if isinstance(value, str) else value


def _flags(items: list[Any]) -> list[str]:
    """Return the flag of each item: in a command line the item before a value may be it."""
    return ["", *(item if isinstance(item, str) and item.startswith("--") else "" for item in items)]


def _normal_text(value: str, name: str) -> str:
    flag, equals, given = value.partition("=")
    if equals and flag.startswith("--") and _SECRET_NAME.search(flag):
        return f"{flag}={_hidden(given)}"
    if _SECRET_NAME.search(name) and re.match(r"--|[A-Z]", name) and not re.fullmatch(r"(?i)true|false|\d*|--.*", value):
        return _hidden(value)
    # The password in a URL.
    value = re.sub(r"(?<=://)([^/\s:@]*):([^/\s@]+)@", lambda found: f"{found[1]}:{_hidden(found[2])}@", value)
    return ENVIRONMENT.sub(r"\1*", value)


def _hidden(value: object) -> str:
    """Return a replacement that is equal for equal values in this process, and reveals nothing about them."""
    text = str(value)
    return text if _HIDDEN_VALUE.fullmatch(text) else f"(hidden {hashlib.sha256(_SALT + text.encode()).hexdigest()[:16]})"


def shown(value: object, other: object = None) -> str | None:
    """Return the value as a report shows it beside ``other``: a scalar as it is, a structure as YAML; None for absent."""
    if value is None:
        return None
    if isinstance(value, str):
        # Beside the number 15 the string "15" has quotes, because the type is the difference.
        text = value if value and (other is None or isinstance(other, str)) else json.dumps(value)
    elif isinstance(value, dict | list):
        flow, block = (yaml.safe_dump(value, default_flow_style=style, width=10**6, allow_unicode=True).strip() for style in (True, False))
        text = flow if len(flow) <= 120 else block
    else:
        text = json.dumps(value)
    text = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    return _HIDDEN_VALUE.sub(HIDDEN, text)
