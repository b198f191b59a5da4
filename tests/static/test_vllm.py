"""Proves: every engine that a scenario or a values file makes gets arguments that the pinned vLLM takes, by the record in schema/vllm.

That the record is the real release's, and judges as it does, tests/cluster/test_engine.py proves. It does not prove that an engine starts.
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

from tests.conftest import HAVE_CHARTS
from tests.static.conftest import chart, rendered
from tests.support.engines import TABLE, cases


@pytest.mark.parametrize("name", cases())
def test_engines_get_arguments_that_vllm_takes(name: str) -> None:
    if name not in scenarios() and not HAVE_CHARTS:
        pytest.skip("a values file without a scenario has no recorded render")
    case = cases()[name]
    objects = rendered(case) if name in scenarios() else render(case)
    assert {engine: found for engine, arguments in release.engines(objects).items() if (found := release.validate(arguments))} == {}


def test_every_values_file_is_asked() -> None:
    asked = {name for case in cases().values() for name in case.values}
    assert asked >= {str(path.relative_to(PRESETS).with_suffix("")) for path in PRESETS.rglob("*.yaml")}
    # A rule over nothing would pass.
    assert len(release.engines(rendered(scenario("gpt-oss")))) == 1


def test_a_wrong_argument_of_a_preset_is_seen() -> None:
    (arguments,) = release.engines(rendered(scenario("gpt-oss"))).values()
    assert release.validate([*arguments, "--seed", "many", "--disable-log-requests"]) == [
        "--seed is 'many', which is not an integer",
        "vLLM v0.32.0 has no argument --disable-log-requests: remove it, requests are not logged by default",
    ]


@pytest.mark.parametrize("name", TABLE.refused)
def test_refused_with_its_message(name: str) -> None:
    mistake = TABLE.refused[name]
    (said,) = release.validate(["model", *mistake.arguments])
    assert mistake.says in said


@pytest.mark.parametrize("name", TABLE.taken)
def test_odd_forms_are_taken(name: str) -> None:
    assert release.validate(["model", *TABLE.taken[name]]) == []


def test_a_removed_argument_is_unknown_to_the_pinned_release() -> None:
    """Else the chart would refuse what the engine takes."""
    assert [name for name in release.removed() if name in release.recorded().options()] == []


def test_the_record_is_as_it_would_be_written() -> None:
    known = release.recorded()
    assert (release.FOLDER / f"{release.pinned()}.yaml").read_text() == release.text(known)
    assert known.release == release.pinned()


def test_the_charts_file_says_what_the_record_says() -> None:
    ((path, text),) = release.generated_files().items()
    assert path.read_text() == text, "Run scout-chat generate"
    said, known = kubeyaml.load(text), release.recorded()
    assert said == {
        "release": known.release,
        "toolCallParsers": list(known.toolCallParsers),
        "reasoningParsers": list(known.reasoningParsers),
        "options": known.options(),
        "removedArguments": release.removed(),
    }


def test_one_release_is_pinned() -> None:
    """The packages, the image that is made of them, and the presets."""
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
def test_the_chart_judges_the_recorded_release_alone() -> None:
    """What another release accepts is not known here; what is gone since long is gone there too."""
    unknown = replace(scenario("local"), sets=(f"{SPEC}.vllmConfig.extraArgs[3]=--xyz",))
    with pytest.raises(RenderError, match="has --xyz, which is not an argument of vLLM v0.32.0, so the engine would not start$"):
        render(unknown, chart())
    render(replace(unknown, sets=(*unknown.sets, f"{SPEC}.tag=v0.33.0")), chart())


def test_what_a_bump_changes_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    new = release.recorded()
    gone = {name: argument for name, argument in new.arguments.items() if name != "--seed"}
    dtype = new.arguments["--dtype"].model_copy(update={"choices": ("auto", "int8")})
    old = new.model_copy(
        update={
            "release": "v0.31.0",
            "arguments": gone | {"--dtype": dtype, "--swap-space": release.Argument(type="float")},
            "toolCallParsers": (*new.toolCallParsers[1:], "older"),
        }
    )
    assert release.changes(new, new) == []
    monkeypatch.setattr(release, "FOLDER", tmp_path)
    for version in (old, new):
        (tmp_path / f"{version.release}.yaml").write_text(release.text(version))
    assert release.changes(release.recorded("v0.31.0"), release.recorded("v0.32.0")) == [
        "removed: --swap-space",
        "added: --seed {type: int}",
        "changed: --dtype choices -int8 +bfloat16 +float +float16 +float32 +half",
        "changed: toolCallParsers -older +apertus",
    ]


def test_a_release_that_is_not_recorded_is_said() -> None:
    with pytest.raises(UserError, match="vLLM v0.1.0 is not recorded") as error:
        release.recorded("v0.1.0")
    assert error.value.hint == f"schema/vllm has {release.pinned()} alone."
