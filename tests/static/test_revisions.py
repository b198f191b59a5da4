"""Proves: presets name the commit of the catalog, engine and prefetch load the same, and one setting makes both follow a branch; with both Helms.

Contradicting values are in tests/invalid-values (engine-revision-*). Does not prove that a commit exists on the Hugging Face Hub.
"""

import re
from dataclasses import replace

import pytest
from scout_chat.chart.render import Case, render
from scout_chat.core import kubeyaml
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.planning import catalog
from scout_chat.presets import writer
from scout_chat.presets.request import PresetRequest

from tests.support.objects import argument, engine_container, pods
from tests.support.renders import values_case

COMMIT = catalog.models()["gpt-oss-120b"].checkpoints[0].revision


def spec(request: PresetRequest) -> KubeObject:
    """Return the only entry of modelSpec in a written preset."""
    entry: KubeObject
    (entry,) = kubeyaml.load(writer.write(request))["vllm-stack"]["servingEngineSpec"]["modelSpec"]
    return entry


def test_every_checkpoint_is_a_commit_or_says_why_not() -> None:
    for model in catalog.models().values():
        for checkpoint in model.checkpoints:
            found = re.fullmatch("[0-9a-f]{40}", checkpoint.revision)
            assert found or (checkpoint.revision == "main" and "no commit found" in checkpoint.source), checkpoint.id


def test_a_preset_names_the_commit_where_a_repository_is_loaded() -> None:
    request = PresetRequest(models=("gpt-oss-120b",), gpu="h100-80")
    assert spec(request)["modelRevision"] == COMMIT
    assert spec(request.model_copy(update={"offline": True}))["modelRevision"] == COMMIT
    assert "modelRevision" not in spec(request.model_copy(update={"weights": "/srv/models"}))
    assert "modelRevision" not in spec(PresetRequest(models=("qwq-32b",), gpu="l40s"))


@pytest.mark.parametrize("gpu", ["l4", "cpu"])
def test_a_revision_of_the_users_choice_replaces_the_catalogs(gpu: str) -> None:
    request = PresetRequest(models=("smollm2-135m",), gpu=gpu)
    assert spec(request)["modelRevision"] == catalog.models()["smollm2-135m"].checkpoints[0].revision
    assert spec(request.model_copy(update={"revision": "v1.0"}))["modelRevision"] == "v1.0"
    assert "modelRevision" not in spec(request.model_copy(update={"revision": "main"}))


def test_a_commit_of_digits_stays_text() -> None:
    """YAML would read 1e10 as a number."""
    assert spec(PresetRequest(models=("smollm2-135m",), gpu="l4", revision="1e10"))["modelRevision"] == "1e10"


def revisions(case: Case) -> tuple[str, list[str]]:
    """Return the revision that the engine loads, and the arguments of its init container."""
    objects = render(case)
    engine = engine_container(objects, "gpt-oss-120b")
    # vLLM takes the tokenizer from the same revision, unless it is told otherwise.
    assert "--tokenizer-revision" not in engine["command"]
    return argument(engine, "--revision"), pods(objects)["chat-gpt-oss-120b-deployment-vllm"]["spec"]["initContainers"][0]["args"]


@pytest.mark.charts
@pytest.mark.parametrize(
    ("settings", "revision"),
    [
        ({}, COMMIT),
        ({"engine": {"modelRevision": "main"}}, "main"),
        ({"engines": {"gpt-oss-120b": {"modelRevision": "main"}}}, "main"),
        ({"engine": {"modelRevision": "main"}, "engines": {"gpt-oss-120b": {"modelRevision": "v2"}}}, "v2"),
    ],
    ids=["the preset's commit", "engine", "engines", "engines over engine"],
)
def test_engine_and_prefetch_load_the_same_revision(settings: KubeObject, revision: str, helm: str) -> None:
    case = replace(values_case("variants/gpt-oss-prefetch", **settings), helm=helm)
    assert revisions(case) == (revision, ["openai/gpt-oss-120b", "--revision", revision])


@pytest.mark.charts
def test_the_engines_of_two_repositories_can_follow_the_branch(helm: str) -> None:
    objects = render(replace(values_case("variants/two-models", engine={"modelRevision": "main"}), helm=helm))
    assert {argument(engine_container(objects, name), "--revision") for name in ("gpt-oss-120b", "qwen36-27b")} == {"main"}
