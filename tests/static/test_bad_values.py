"""Proves: each mistake of the corpus is refused by Helm 3 and by Helm 4, before any subchart speaks, with a message that says where.

It does not prove that there is no other mistake; a new one is one file more under tests/bad.
"""

import re
from dataclasses import replace

import pytest
from scout_chat.chart.render import Case, RenderError, render, render_all
from scout_chat.values.invalid import BadValue, corpus

from tests.static.conftest import chart


def refusal_of(case: Case) -> str:
    # On recorded renders the templates and the schema are still this chart's own.
    with pytest.raises(RenderError) as refused:
        render(case, chart())
    return str(refused.value)


@pytest.mark.parametrize("name", corpus())
def test_refused_with_its_message(name: str) -> None:
    """By Helm 4, each mistake alone: first by the schema, and by the templates where --skip-schema-validation skips it."""
    mistake = corpus()[name]
    message = refusal_of(mistake.case())
    assert (mistake.refused or mistake.words) in message
    # The chart's own words, without Helm's wrapping or a subchart's trace.
    assert "execution error" not in message and "nil pointer" not in message
    if mistake.words and mistake.refused:
        assert mistake.words in refusal_of(mistake.case(schema=False))
    # The message names the key that the user wrote, or for what is missing the key that holds it.
    keys = {part for path in mistake.set for part in re.findall(r"[A-Za-z][\w-]*", path)}
    assert not keys or (re.search(r"at '(/|')|[a-z-]+\.[A-Za-z]+", message) and any(key in message for key in keys)), message


def apart(one: BadValue, two: BadValue) -> bool:
    """Whether Helm would name both, each as if it were alone: neither lies in the other, and unknown keys of one object share a line."""
    inside = any(path.startswith(other) or other.startswith(path) for path in one.set for other in two.set)
    place = one.refused.partition("additional properties")
    return not inside and not one.alone and not two.alone and not (place[1] and two.refused.startswith(place[0] + place[1]))


def batches() -> list[list[str]]:
    """Names of mistakes that can be made at once: over one scenario, refused by the schema, apart from each other."""
    found: list[list[str]] = []
    for name, mistake in corpus().items():
        for batch in found:
            others = [corpus()[other] for other in batch]
            if mistake.refused and all(other.refused and other.over == mistake.over and apart(mistake, other) for other in others):
                batch.append(name)
                break
        else:
            found.append([name])
    return found


def together(batch: list[str]) -> Case:
    """Every mistake of the batch in one command, for Helm 3."""
    mistakes = [corpus()[name] for name in batch]
    return replace(mistakes[0].case("helm3"), json=tuple(setting for mistake in mistakes for setting in mistake.settings()))


@pytest.fixture(scope="module")
def _rendered_together() -> None:
    """What the cache lacks, on every core at once."""
    render_all(map(together, batches()), chart())


@pytest.mark.usefixtures("_rendered_together")
@pytest.mark.parametrize("batch", batches(), ids=lambda batch: f"{batch[0]}+{len(batch) - 1}" if len(batch) > 1 else batch[0])
def test_helm_3_refuses_the_same(batch: list[str]) -> None:
    """Helm names every value that the schema refuses, so mistakes that do not touch each other are made in one command."""
    message = refusal_of(together(batch))
    missing = [name for name in batch if (corpus()[name].refused or corpus()[name].words) not in message]
    assert not missing, f"{missing}\n{message}"
