"""Proves: secrets are in Secrets alone: not in another object, a variable, an address or a command line.

It does not prove what programs write to their logs.
"""

import base64
import json
import re
from collections.abc import Iterator

from scout_chat.chart.render import Case
from scout_chat.chart.scenarios import scenario
from scout_chat.core.kubeyaml import KubeObject

from tests.support.object_index import Manifests
from tests.support.objects import one
from tests.support.renders import given, rendered
from tests.support.rules import ENGINE, ENVIRONMENT, MAIN, Defect, Found, Rule, assert_found, assert_holds

# A variable with such a name holds a secret. TIKTOKEN is a tokenizer.
SECRET_NAME = re.compile(r"KEY|(?<!TIK)TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL")
# Values that are no secret: empty, a boolean, a number, or a reference to a variable.
HARMLESS = re.compile(r"(?i)|true|false|\d+(\.\d+)?|\$\(\w+\)")
# A password in an address, unless it is a reference to a variable.
IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@\"']*:(?!\$[({]?\w+[)}]?@)[^/\s@\"']+@")
# A flag with its value, in one word or two.
FLAG = re.compile(r"(?i)(--?(?:[\w-]+[-_])?(?:api[-_]?key|access[-_]key|secret[-_]key|token|password|passwd|secret)(?:=|\s+|\n))(?!-|\$|\s|$)(\S+)")


def secrets(manifests: Manifests) -> Iterator[Found]:
    values = {value: f"Secret/{item.name} {key}" for item in manifests.of("Secret") for key, value in _values(item.body)}
    for item, path, leaf in manifests.nodes:
        if item.kind == "Secret" or not isinstance(leaf, str):
            continue
        where = ".".join(path)
        yield from ((item, f"{where} holds the value of {source}") for value, source in values.items() if value in leaf)
        if "://" in leaf and IN_URL.search(leaf):
            yield item, f"{where} has a password in an address"
        name = path[-2] if path[-1] == "value" else path[-1] if item.kind == "ConfigMap" and path[0] == "data" else ""
        if name.isupper() and SECRET_NAME.search(name) and not HARMLESS.fullmatch(leaf):
            yield item, f"{where}: {name} has a value in plain text"
    for pod in manifests.pods:
        for name, part in pod.containers:
            words = [str(word) for word in [*(part.get("command") or []), *(part.get("args") or [])]]
            for flag, _ in FLAG.findall("\n".join(words)):
                yield pod.owner, f"{name}: {flag.strip(' =' + chr(10))} has its value on the command line"


def _values(body: KubeObject) -> Iterator[tuple[str, str]]:
    """Return a Secret's values by key, as they are and decoded. Short values are left out: they would be found by chance."""
    plain = [(key, value) for key, value in (body.get("stringData") or {}).items()]
    for key, value in (body.get("data") or {}).items():
        plain += [(key, value), (key, base64.b64decode(value + "==").decode(errors="replace"))]
    return ((key, value) for key, value in plain if len(value) >= 8)


SECRETS = Rule("secrets", secrets)

DEFECTS: list[Defect] = [
    (ENVIRONMENT, "data OPENAI_API_KEY", "sk-123", "data.OPENAI_API_KEY: OPENAI_API_KEY has a value in plain text"),
    (ENGINE, f"{MAIN} env +", {"name": "HF_TOKEN", "value": "hf_123"}, "env.HF_TOKEN.value: HF_TOKEN has a value in plain text"),
    (ENVIRONMENT, "data DATABASE_URL", "postgres://chat:pw@db/chat", "data.DATABASE_URL has a password in an address"),
    (ENVIRONMENT, "data REDIS_URL", "redis://:pw@redis:6379/0", "data.REDIS_URL has a password in an address"),
    (ENVIRONMENT, "data REDIS_URL", "redis://:$(REDIS_PW)@redis:6379/0", None),
    (ENGINE, f"{MAIN} command +", "--api-key=abc", "container vllm: --api-key has its value on the command line"),
    (ENGINE, f"{MAIN} args", ["--hf-token", "abc"], "container vllm: --hf-token has its value on the command line"),
    (ENGINE, f"{MAIN} command", ["sh", "-c", "vllm serve x --api-key abc"], "--api-key has its value on the command line"),
    (ENGINE, f"{MAIN} args", ["--api-key", "$(VLLM_API_KEY)", "--token", "--secret"], None),
    ("Secret/chat-secrets", "data", {"a": "Z3B0LW9zcy0xMjBi"}, "data.DEFAULT_MODELS holds the value of Secret/chat-secrets a"),
    ("Secret/chat-secrets", "stringData", {"a": "gpt-oss-120b"}, "data.DEFAULT_MODELS holds the value of Secret/chat-secrets a"),
]


def test_no_secret_is_outside_a_secret(case: Case) -> None:
    assert_holds(SECRETS, case)


def test_planted_defects_are_found() -> None:
    assert_found(SECRETS, DEFECTS)


def test_generated_values_are_in_the_created_secret_alone(case: Case) -> None:
    """Neither plain nor encoded. Without existing Secrets of the user's, the created one has every key; an optional one is empty."""
    objects = rendered(case)
    chat = given(case).get("global", {}).get("chat", {})
    if "existingSecret" in chat.get("secretKey", {}):
        assert not [item for item in objects if item.kind == "Secret" and item.name.endswith("-webui-secrets")]
        return
    data = one(objects, "Secret", "-webui-secrets")["data"]
    brought = {"client-secret"} if "existingSecret" in chat.get("auth", {}).get("oidc", {}) else set()
    assert {"secret-key", "admin-password", "api-key", "client-secret"} - brought == set(data)
    # An optional key is present and empty, so that no reference to a Secret is optional.
    assert {key for key, value in data.items() if not value} == {"api-key", "client-secret"} - brought
    rest = json.dumps([item.body for item in objects if item.kind != "Secret"])
    for value in filter(None, data.values()):
        assert value not in rest
        assert base64.b64decode(value).decode() not in rest


def test_existing_secrets_replace_the_created_one() -> None:
    case = scenario("gpt-oss-hospital")
    settings = given(case)["global"]
    chat = settings["chat"]
    assert all("existingSecret" in part for part in (chat["secretKey"], chat["auth"]["admin"], chat["auth"]["oidc"], settings["llm"]["apiKey"]))
    assert not [item for item in rendered(case) if item.kind == "Secret" and item.name.endswith("-webui-secrets")]
