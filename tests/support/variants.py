"""Variants of a scenario that several tests render: each variant is one cached render, whichever tests use it."""

from dataclasses import replace

from scout_chat.chart.render import Case

from tests.support.rules import manifests


def elsewhere(case: Case) -> Case:
    """Return the case as another release in another namespace. The release name begins with that of the case."""
    return replace(case, release=f"{case.release}-other", namespace="elsewhere")


def longest(case: Case) -> Case:
    """Return the case under the longest release name: Helm accepts 53 characters, and the Service of an engine may have 63."""
    names = [item.name for item in manifests(case).of("Service") if item.name.endswith("-engine-service")]
    room = min([53, *(63 - len(name) + len(case.release) for name in names)])
    return replace(case, release="r" + "e" * (room - 2) + "9", namespace="n" * 63)
