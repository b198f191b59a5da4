"""Proves: ``scout-chat check`` compares values with the preset that they start from, and never shows a secret."""

from pathlib import Path

import pytest
from scout_chat.check import preset
from scout_chat.core import kubeyaml
from scout_chat.core.paths import PRESETS
from scout_chat.review.normalize import hide_secrets, shown

from tests.support.commands import Command
from tests.support.values_files import Write, preset_with

GPT_OSS = PRESETS / "gpt-oss.yaml"


def compared(*paths: Path) -> tuple[str, dict[str, tuple[str | None, str | None]]]:
    comparison = preset.compare(paths, [kubeyaml.load(path.read_text()) for path in paths])
    assert comparison
    return comparison.preset, {change.path: (change.old, change.new) for change in comparison.changes}


def test_ones_own_values_are_compared_with_the_preset_among_the_files(mine: Write) -> None:
    """A setting of `engine` replaces what the preset's entry has. A value that is the default is no difference."""
    file = mine(engine={"maxModelLen": 65536, "pvcStorage": "300Gi", "extraArgs": ["--seed", "1"]}, networkPolicy={"enabled": False})
    assert compared(GPT_OSS, PRESETS / "overlays/node-port.yaml", file) == (
        "gpt-oss",
        {
            "engine.extraArgs": (None, "[--seed, '1']"),
            "engine.maxModelLen": ("32768", "65536"),
            "engine.pvcStorage": ("200Gi", "300Gi"),
            "global.chat.auth.allowHttp": ("false", "true"),
            "global.chat.url": ('""', "http://localhost:30080"),
            "open-webui.service.nodePort": ('""', "30080"),
            "open-webui.service.type": ("ClusterIP", "NodePort"),
        },
    )
    removed = compared(GPT_OSS, mine(engine={"nodeSelectorTerms": None}))[1]["engine.nodeSelectorTerms"]
    assert removed[0] and "nvidia.com/gpu.memory" in removed[0] and removed[1] == "null"
    assert compared(PRESETS / "external.yaml", file)[0] == "external"
    two = PRESETS / "variants/two-models.yaml"
    assert compared(two, mine(engine={"replicaCount": 2}, engines={"qwen36-27b": {"maxNumSeqs": 2}}))[1]["engine.replicaCount"] == ("1", "2")


def test_without_a_preset_among_the_files_the_nearest_with_the_same_engines_counts(mine: Write) -> None:
    entry = "vllm-stack.servingEngineSpec.modelSpec[gpt-oss-120b]"
    assert compared(preset_with(mine, "variants/gpt-oss-two-gpus", replicaCount=2)) == ("variants/gpt-oss-two-gpus", {f"{entry}.replicaCount": ("1", "2")})
    assert compared(preset_with(mine, modelURL="acme/own"))[0] == "gpt-oss", "by the engine's name"
    name, changes = compared(preset_with(mine, name="mine"))
    assert name == "gpt-oss" and len(changes) == 2, "by the model"
    assert preset.compare([], [{"vllm-stack": {"servingEngineSpec": {"modelSpec": 7}}}]) is None


def test_secrets_in_values_are_never_shown(mine: Write, command: Command) -> None:
    secret = "s3cr3t-value"
    values = {
        "vllm-stack": {
            "servingEngineSpec": {"vllmApiKey": secret, "env": [{"name": "HF_TOKEN", "value": secret}]},
            "routerSpec": {"extraArgs": ["--api-key", secret]},
        },
        "global": {"chat": {"auth": {"oidc": {"clientSecret": secret, "existingSecret": "chat-oidc"}, "admin": {"password": secret}}}},
        "open-webui": {
            "openaiApiKeys": [secret],
            "persistence": {"azure": {"key": secret}, "s3": {"accessKey": secret}},
            "databaseUrl": f"postgres://u:{secret}@db/x",
        },
    }
    for words in ((), ("--json",)):
        status, output = command("check", "-f", str(GPT_OSS), "-f", str(mine(**values)), *words)
        assert status == 1 and secret not in output and "(hidden)" in output and "chat-oidc" in output


def test_a_name_of_a_secret_is_shown() -> None:
    env = [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "own"}}}]
    keys = {"vllmApiKey": {"secretName": "own", "secretKey": "api-key"}, "secretKey": {"existingSecret": "own", "key": "secret-key"}}
    names = {"hf_token": {"secretName": "hub"}, "env": env, "imagePullSecrets": [{"name": "registry"}], **keys}
    assert hide_secrets(names) == names
    in_the_wrong_place = {"vllmApiKey": {"secretName": "own", "secretKey": "sk-1234"}, "secretKey": {"key": "abc"}, "s3": {"secretKey": "abc"}}
    hidden = shown(hide_secrets(in_the_wrong_place))
    assert hidden and "sk-1234" not in hidden and "abc" not in hidden


@pytest.mark.parametrize(
    ("name", "is_hidden"),
    [("TIKTOKEN_ENCODINGS_BASE", False), ("HF_TOKEN", True), ("VLLM_API_KEY", True), ("WEBUI_SECRET_KEY", True), ("DB_PASSWORD", True)],
)
def test_the_value_of_a_variable_is_hidden_if_its_name_is_that_of_a_secret(name: str, is_hidden: bool) -> None:
    assert (shown(hide_secrets([{"name": name, "value": "x"}])) == f"[{{name: {name}, value: (hidden)}}]") is is_hidden


def test_a_hidden_value_is_shown_as_hidden() -> None:
    assert shown(hide_secrets({"password": 12345})) == "{password: (hidden)}"
