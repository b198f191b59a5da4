"""Proves: every engine of every scenario and values file gets arguments that the pinned vLLM accepts, by its record in schema/vllm.

tests/cluster/test_engine.py proves that the record is the real release's and gives the same results as the real vLLM. This file does
not prove that an engine starts.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from scout_chat.chart.render import RenderError, render
from scout_chat.chart.scenarios import scenario, scenarios
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import PRESETS
from scout_chat.images import archive
from scout_chat.vllm import release
from scout_chat.vllm.arguments import engine_arguments, validate

from tests.support.commands import Command
from tests.support.engines import TABLE, cases
from tests.support.renders import HAVE_CHARTS, chart, rendered


@pytest.mark.parametrize("name", cases())
def test_vllm_accepts_the_arguments_of_every_engine(name: str) -> None:
    if name not in scenarios() and not HAVE_CHARTS:
        pytest.skip("a values file without a scenario has no recorded render")
    case = cases()[name]
    objects = rendered(case) if name in scenarios() else render(case)
    assert {engine: errors for engine, arguments in engine_arguments(objects).items() if (errors := validate(arguments))} == {}


def test_every_values_file_is_checked() -> None:
    checked = {name for case in cases().values() for name in case.values}
    assert checked >= {str(path.relative_to(PRESETS).with_suffix("")) for path in PRESETS.rglob("*.yaml")}
    # The test above would pass if it found no engine.
    assert len(engine_arguments(rendered(scenario("gpt-oss")))) == 1


def test_wrong_arguments_of_a_preset_are_reported() -> None:
    (arguments,) = engine_arguments(rendered(scenario("gpt-oss"))).values()
    assert validate([*arguments, "--seed", "many", "--disable-log-requests"]) == [
        "--seed is 'many', which is not an integer",
        "vLLM v0.32.0 has no argument --disable-log-requests: remove it, because vLLM does not log requests by default",
    ]


@pytest.mark.parametrize("name", TABLE.refused)
def test_a_wrong_list_is_refused_with_its_message(name: str) -> None:
    mistake = TABLE.refused[name]
    (error,) = validate(["model", *mistake.arguments])
    assert mistake.message in error


@pytest.mark.parametrize("name", TABLE.accepted)
def test_an_unusual_list_is_accepted(name: str) -> None:
    assert validate(["model", *TABLE.accepted[name]]) == []


def test_the_pinned_release_has_no_removed_argument() -> None:
    """Otherwise the chart would refuse an argument that the engine accepts."""
    assert [name for name in release.removed() if name in release.recorded().options()] == []


def test_the_record_is_as_it_would_be_written() -> None:
    known = release.recorded()
    assert (release.FOLDER / f"{release.pinned()}.yaml").read_text() == release.text(known)
    assert known.release == release.pinned()


def test_the_charts_copy_agrees_with_the_record() -> None:
    ((path, text),) = release.generated_files().items()
    assert path.read_text() == text, "Run scout-chat generate"
    copy, known = kubeyaml.load(text), release.recorded()
    assert copy == {
        "release": known.release,
        "toolCallParsers": list(known.toolCallParsers),
        "reasoningParsers": list(known.reasoningParsers),
        "options": known.options(),
        "removedArguments": release.removed(),
    }


def test_one_release_is_pinned() -> None:
    """The Python packages, the image that is assembled from them, and the presets name the same release."""
    (image,) = [image.reference for image in archive.IMAGES if image.runtime == "vllm-cpu"]
    assert image.endswith(f":{release.pinned()}")
    for path in PRESETS.rglob("*.yaml"):
        stack = kubeyaml.load(path.read_text()).get("vllm-stack") or {}
        for engine in stack.get("servingEngineSpec", {}).get("modelSpec", []):
            assert engine["tag"] == release.pinned(), path


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
    render(replace(unknown, sets=(*unknown.sets, f"{SPEC}.tag=v0.33.0")), chart())


def test_changes_between_two_releases_are_listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: Command) -> None:
    """By `scout-chat vllm diff`, which reads the two records."""
    new = release.recorded()
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
        "changed: --dtype choices -int8 +bfloat16 +float +float16 +float32 +half",
        "changed: toolCallParsers -older +apertus",
    ]


def test_a_release_without_a_record_is_an_error() -> None:
    with pytest.raises(UserError, match=r"vLLM v0\.1\.0 is not recorded") as error:
        release.recorded("v0.1.0")
    assert error.value.hint == f"schema/vllm has only {release.pinned()}."
