"""Proves: every command in the documents can be typed: what it names exists, and its program takes its options.

`helm install` and `helm upgrade` are rendered with their values files. The project's own commands are parsed by the real parser, other helm
commands by helm itself, kubectl's in tests/cluster/test_documents.py. Does not prove what a command prints; test_planner.py, test_check.py
and test_docs.py do so for the outputs that the documents show.
"""

import json
import re
import subprocess
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from scout_chat.chart import scenarios as scenarios_of
from scout_chat.chart import snapshots
from scout_chat.chart.render import Case, RenderError, render
from scout_chat.chart.scenarios import scenarios
from scout_chat.cli import app
from scout_chat.core import kubeyaml
from scout_chat.core.paths import PRESETS, ROOT
from scout_chat.core.tools import tool
from scout_chat.values import schema
from scout_chat.values.invalid import InvalidValue

from tests.support.commands import built, parse
from tests.support.documents import Block, Shell, blocks, commands

# Programs of others, and why the suite does not run their commands.
OF_OTHERS = {
    "base64": "decodes a Secret of a cluster",
    "curl": "asks a host of the reader, or the internet",
    "docker": "needs a Docker engine",
    "export": "sets a variable of the reader's shell",
    "git": "acts on the reader's checkout",
    "grep": "filters the output of the command before it",
    "hf": "downloads from the Hugging Face Hub",
    "mike": "publishes the site",
    "mkdir": "makes a folder of the reader",
    "mkdocs": "serves the site; make docs builds it",
    "nvidia-smi": "needs a GPU",
    "openssl": "makes a random password",
    "sort": "filters the output of the command before it",
    "tail": "filters the output of the command before it",
    "tr": "filters the output of the command before it",
}
# Blocks that are no commands and no YAML.
OTHER_LANGUAGES = {"promql": "needs a Prometheus that scrapes an engine", "none": "a header, a formula, or a list of folders"}
PROPERTIES = json.loads(schema.TARGET.read_text())["properties"].keys()
# Made from the help texts, whose examples test_cli.py parses.
GENERATED = "docs/reference/cli.md"
BLOCKS = [block for block in blocks() if not block.place.startswith(GENERATED)]
SHELLS = [command for block in BLOCKS if block.language in ("sh", "console") for command in commands(block)]
BY_PROGRAM: dict[str, list[Shell]] = {}
for _command in SHELLS:
    BY_PROGRAM.setdefault(_command.program, []).append(_command)
CHECKED = {"scout-chat", "make", "helm", "kubectl", "pytest", "time", "python"}


def label(shell: Shell) -> str:
    return f"{shell.place} {' '.join(shell.words)}"[:90]


def of(program: str) -> list[Shell]:
    return BY_PROGRAM.get(program, [])


def rendered_helm() -> list[Shell]:
    """Return the helm commands that install the chart of this repository and are not shown as refused."""
    refused = {block.place for block in BLOCKS if block.language == "console" and "\nError: " in block.text}
    return [shell for shell in of("helm") if shell.words[1] in ("install", "upgrade", "template") and shell.place not in refused]


@pytest.mark.parametrize("shell", of("scout-chat"), ids=label)
def test_a_command_of_scout_chat_parses(shell: Shell) -> None:
    parse(built(app.app), " ".join(f"'{word}'" for word in shell.words[1:]))


@pytest.mark.parametrize("shell", of("make"), ids=label)
def test_a_target_of_make_exists(shell: Shell) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {word for word in shell.words[1:] if "=" not in word} <= targets


@pytest.mark.parametrize("shell", of("pytest"), ids=label)
def test_a_file_of_pytest_exists(shell: Shell) -> None:
    assert all((ROOT / word.partition("::")[0]).exists() for word in shell.words[1:] if word.startswith("tests/"))


@cache
def case_of(words: tuple[str, ...], folder: Path) -> Case:
    """Return the render of a `helm install`. A file of the reader's own is empty, or a preset where nothing else has a model."""
    sets, files, release = [], [], "chat"
    rest = iter(words[2:])
    for word in rest:
        if word in ("-f", "--values"):
            files.append(next(rest))
        elif word == "--set":
            sets.append(next(rest))
        elif word in ("-n", "--namespace"):
            assert next(rest) == "chat"
        elif word in ("--create-namespace", "--install") or word == "charts/scout-chat":
            continue
        else:
            assert re.fullmatch(r"[a-z]+", word), word
            release = word
    names = []
    for number, file in enumerate(files):
        if file.startswith("values/"):
            names.append(file.removeprefix("values/").removesuffix(".yaml"))
            assert (ROOT / file).exists(), file
        else:
            own = folder / f"{number}.yaml"
            own.write_text((PRESETS / "gpt-oss.yaml").read_text() if not names else "{}")
            names.append(str(own.with_suffix("")))
    return Case("documented", tuple(names), sets=tuple(sets), release=release)


@pytest.mark.charts
@pytest.mark.parametrize("shell", rendered_helm(), ids=label)
def test_an_installation_renders(shell: Shell, tmp_path: Path) -> None:
    assert render(case_of(shell.words, tmp_path))


@pytest.mark.charts
def test_an_installation_with_a_wrong_file_or_value_is_seen(tmp_path: Path) -> None:
    words = "helm install chat charts/scout-chat -n chat -f values/gpt-oss.yaml"
    with pytest.raises(AssertionError, match=r"values/gpt-os\.yaml"):
        case_of(tuple(words.replace("gpt-oss", "gpt-os").split()), tmp_path)
    with pytest.raises(RenderError, match="modelAcess"):
        render(case_of(tuple(f"{words} --set global.chat.modelAcess=x".split()), tmp_path))


@pytest.mark.parametrize("shell", [shell for shell in of("helm") if shell.words[1] not in ("install", "upgrade", "template")], ids=label)
def test_helm_takes_the_options_of_its_other_commands(shell: Shell) -> None:
    result = subprocess.run([tool("helm"), *shell.words[1:], "--help"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@cache
def names() -> set[str]:
    """Return the names of every object of every scenario, with the environment's ConfigMap as its snapshot has it."""
    return {path.stem.partition("-")[2] for name in scenarios() for path in snapshots.recorded(name)}


def named(words: tuple[str, ...]) -> list[str]:
    """Return the names of objects of a release called chat in a kubectl command, except those that it creates."""
    if "create" in words:
        return []
    kinds = r"(?:deploy(?:ment)?|service|svc|secret|configmap|pvc|pod|job)s?"
    found = [re.sub(rf"^{kinds}/", "", word) for word in words if re.match(rf"{kinds}/chat-", word)]
    return found + [word for kind, word in pairwise(words) if re.fullmatch(kinds, kind) and word.startswith("chat-")]


@pytest.mark.parametrize("shell", [shell for shell in of("kubectl") if named(shell.words)], ids=label)
def test_an_object_that_kubectl_names_is_one_of_the_chart(shell: Shell) -> None:
    assert set(named(shell.words)) <= names()


def test_a_name_that_no_object_has_is_seen() -> None:
    assert named(("kubectl", "-n", "chat", "logs", "deploy/chat-vllm")) == ["chat-vllm"]
    assert named(("kubectl", "get", "secret", "chat-webui-secret")) == ["chat-webui-secret"]
    assert not {"chat-vllm", "chat-webui-secret"} & names()
    assert "chat-webui-secrets" in names()


def test_a_block_of_yaml_is_values_or_a_file_of_the_suite(tmp_path: Path) -> None:
    """test_docs.py renders the blocks of values. The others are an invalid value and a scenario, in the forms that the suite reads."""
    others = [block for block in BLOCKS if block.language == "yaml" and not kubeyaml.load(block.text).keys() & PROPERTIES]
    assert others
    for block in others:
        file = tmp_path / "block.yaml"
        file.write_text(block.text)
        if "scenario" in kubeyaml.load(block.text):
            InvalidValue.model_validate(kubeyaml.load(block.text) | {"why": "as the document says"})
        else:
            assert scenarios_of.read(file), block.place


def test_every_block_is_checked_or_has_a_reason() -> None:
    """Prints what is checked how. A program that is in no list fails."""
    languages = Counter(block.language or "none" for block in BLOCKS)
    programs = Counter(shell.program for shell in SHELLS)
    print(f"\n{sum(languages.values())} blocks: {', '.join(f'{count} {language}' for language, count in languages.most_common())}")
    parsed = programs - Counter(helm=len(rendered_helm()))
    print(
        f"{len(SHELLS)} commands: {len(rendered_helm())} rendered,", ", ".join(f"{parsed[name]} of {name} parsed" for name in sorted(CHECKED) if parsed[name])
    )
    print(
        f"{sum(programs[name] for name in OF_OTHERS)} commands of other programs:",
        ", ".join(f"{name} ({programs[name]})" for name in OF_OTHERS if programs[name]),
    )
    assert set(programs) <= CHECKED | OF_OTHERS.keys()
    assert set(languages) == {"sh", "console", "yaml", *OTHER_LANGUAGES}
    assert [name for name in OF_OTHERS if not programs[name]] == []


def test_a_block_is_read_as_a_shell_reads_it() -> None:
    text = "A=1 helm test chat --logs | tail -3   # a comment\nkubectl get pods \\\n  -n chat > pods.txt && make x\nexport K=$(scout-chat cluster kubeconfig)\n"
    words = [" ".join(shell.words) for shell in commands(Block("here", "sh", text))]
    assert words == ["helm test chat --logs", "tail -3", "kubectl get pods -n chat", "make x", "scout-chat cluster kubeconfig", "export K=SUBSTITUTED"]
    shown = Block("here", "console", "$ make chat\n✓ tools  0.0 s\n")
    assert [shell.words for shell in commands(shown)] == [("make", "chat")]
