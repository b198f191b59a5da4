"""Proves: Helm 3 and Helm 4 refuse every mistake in tests/invalid-values before a subchart reports anything, with a message that names the value's path.

It does not prove that there are no other mistakes; add a file to tests/invalid-values for a new one.
"""

import re
from dataclasses import replace

import pytest
from scout_chat.chart.render import Case, RenderError, render, render_all
from scout_chat.values.invalid import InvalidValue, invalid_values

from tests.support.renders import chart


def refusal_of(case: Case) -> str:
    """Return the message with which Helm refuses the values. On recorded renders the templates and the schema are the real ones too."""
    with pytest.raises(RenderError) as refused:
        render(case, chart())
    return str(refused.value)


@pytest.mark.parametrize("name", invalid_values())
def test_helm_4_refuses_each_mistake_with_its_message(name: str) -> None:
    """The schema refuses it, and the templates do where --skip-schema-validation skips the schema."""
    mistake = invalid_values()[name]
    message = refusal_of(mistake.case())
    assert (mistake.schemaMessage or mistake.templateMessage) in message
    # The message is the chart's own: not Helm's wrapping, nor a trace from a subchart.
    assert "execution error" not in message and "nil pointer" not in message
    if mistake.templateMessage and mistake.schemaMessage:
        assert mistake.templateMessage in refusal_of(mistake.case(schema=False))
    # The message names the key that the user wrote or, for a missing key, the key that must hold it.
    keys = {part for path in mistake.set for part in re.findall(r"[A-Za-z][\w-]*", path)}
    assert not keys or (re.search(r"at '(/|')|[a-z-]+\.[A-Za-z]+", message) and any(key in message for key in keys)), message


def independent(one: InvalidValue, two: InvalidValue) -> bool:
    """Return whether Helm reports both mistakes at once, each with the message that it has alone.

    It does not if one value contains the other. Unknown keys of one object share a line of the message.
    """
    nested = any(path.startswith(other) or other.startswith(path) for path in one.set for other in two.set)
    place = one.schemaMessage.partition("additional properties")
    return not nested and not one.alone and not two.alone and not (place[1] and two.schemaMessage.startswith(place[0] + place[1]))


def batches() -> list[list[str]]:
    """Return the names of the mistakes in groups that one command can make: refused by the schema, over one scenario, and independent."""
    found: list[list[str]] = []
    for name, mistake in invalid_values().items():
        for batch in found:
            others = [invalid_values()[other] for other in batch]
            if mistake.schemaMessage and all(other.schemaMessage and other.scenario == mistake.scenario and independent(mistake, other) for other in others):
                batch.append(name)
                break
        else:
            found.append([name])
    return found


def combined(batch: list[str]) -> Case:
    """Return the render for Helm 3 with every mistake of the batch."""
    mistakes = [invalid_values()[name] for name in batch]
    return replace(mistakes[0].case("helm3"), json=tuple(setting for mistake in mistakes for setting in mistake.settings()))


@pytest.fixture(scope="module")
def _rendered_batches() -> None:
    """Render in parallel what the cache does not have."""
    render_all(map(combined, batches()), chart())


@pytest.mark.usefixtures("_rendered_batches")
@pytest.mark.parametrize("batch", batches(), ids=lambda batch: f"{batch[0]}+{len(batch) - 1}" if len(batch) > 1 else batch[0])
def test_helm_3_refuses_the_same_mistakes(batch: list[str]) -> None:
    """Helm reports every value that the schema refuses, so one command checks several independent mistakes."""
    message = refusal_of(combined(batch))
    missing = [name for name in batch if (invalid_values()[name].schemaMessage or invalid_values()[name].templateMessage) not in message]
    assert not missing, f"{missing}\n{message}"
