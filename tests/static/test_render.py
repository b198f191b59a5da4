"""Proves: a preset means the same to Helm 3 and Helm 4, and the loader sees what Kubernetes would see."""

from dataclasses import replace

import pytest
import yaml
from scout_chat.paths import CHART
from scout_chat.render import CASES, Case, Loader, RenderError, parse, render

from .conftest import rendered


def comparable(case: Case) -> dict:
    """Objects by identity; the Secret's random values left out."""
    objects = {(item.chart, item.kind, item.name): item.body for item in rendered(case)}
    return {key: body | {"data": sorted(body.get("data") or {})} if key[1] == "Secret" else body for key, body in objects.items()}


@pytest.mark.charts
def test_helm_3_and_helm_4_render_equal_objects(case: Case) -> None:
    assert comparable(case) == comparable(replace(case, helm="helm3"))


@pytest.mark.charts
def test_rendering_is_the_same_for_every_supported_kubernetes(case: Case) -> None:
    """No object depends on a minor today; if one starts to, this says which."""
    assert comparable(case) == comparable(replace(case, kubernetes="1.34"))


def test_a_duplicate_key_is_an_error() -> None:
    with pytest.raises(RenderError, match="duplicate keys in a rendered object: name"):
        parse("# Source: scout-chat/templates/x.yaml\nkind: Pod\nmetadata:\n  name: a\n  name: b\n")


def test_a_date_stays_a_string() -> None:
    assert yaml.load("2024-01-01", Loader) == "2024-01-01"


@pytest.mark.charts
def test_a_dropped_value_is_an_error() -> None:
    """Helm only warns when a table meets a string, and drops one of them."""
    with pytest.raises(RenderError, match="Helm dropped a value"):
        render(replace(CASES["local"], sets=("open-webui.persistence.s3=yes",)), CHART)


def test_no_null_in_default_values() -> None:
    """Helm 3 deletes the subchart's default, Helm 4 brings it back."""

    def nulls(value: object, path: str = "") -> list[str]:
        if isinstance(value, dict):
            return [found for key, child in value.items() for found in nulls(child, f"{path}.{key}")]
        return [path] if value is None else []

    assert nulls(yaml.safe_load((CHART / "values.yaml").read_text())) == []
