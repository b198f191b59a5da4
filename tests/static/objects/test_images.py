"""Proves: every image has a tag that does not move or a digest, and tests/images.yaml lists it and no image that nothing uses.

It does not prove that an image can be pulled or starts.
"""

import re
from collections.abc import Iterator
from functools import cache

from scout_chat.chart.render import Case
from scout_chat.chart.scenarios import scenarios
from scout_chat.core import kubeyaml
from scout_chat.core.paths import ROOT

from tests.support.object_index import Manifests
from tests.support.objects import containers
from tests.support.renders import given, rendered
from tests.support.rules import MAIN, POD, TEST, WEBUI, Defect, Found, Rule, assert_found, assert_holds, manifests

FILE = ROOT / "tests" / "images.yaml"


def images_of(swept: Manifests) -> set[str]:
    """Return every image that a container or an image volume uses."""
    return set().union(*(pod.images for pod in swept.pods))


@cache
def reviewed_images() -> list[str]:
    """Return the list that an air-gapped site copies to its registry."""
    listed: list[str] = kubeyaml.load(FILE.read_text())
    return listed


def images(swept: Manifests) -> Iterator[Found]:
    # With global.imageRegistry, an image keeps its name without the public registry.
    site = given(swept.case).get("global", {}).get("imageRegistry", "")
    reviewed = {f"{site}/{image.removeprefix('ghcr.io/')}" for image in reviewed_images()} if site else set(reviewed_images())
    for pod in swept.pods:
        for name, part in pod.containers:
            image = part.get("image") or ""
            if not re.fullmatch(r"[^:@\s]+(:\d+/[^:@\s]+)?(:[\w][\w.-]*)?@sha256:[0-9a-f]{64}|[^:@\s]+(:\d+/[^:@\s]+)?:[\w][\w.-]*", image):
                yield pod.owner, f"{name}: image {image!r} has neither tag nor digest"
            elif re.search(r":(latest|main|master|nightly|dev|edge|stable)$", image):
                yield pod.owner, f"{name}: image {image} has a tag that moves"
            elif image not in reviewed:
                yield pod.owner, f"{name}: image {image} is not in tests/images.yaml"


IMAGES = Rule("images", images)

DEFECTS: list[Defect] = [
    (WEBUI, f"{MAIN} image", "ghcr.io/open-webui/open-webui", "has neither tag nor digest"),
    (WEBUI, f"{MAIN} image", "registry:5000/open-webui", "has neither tag nor digest"),
    (WEBUI, f"{MAIN} image", "", "has neither tag nor digest"),
    (WEBUI, f"{MAIN} image", "ghcr.io/open-webui/open-webui:main", "has a tag that moves"),
    (TEST, "spec containers 0 image", "registry:5000/open-webui:latest", "has a tag that moves"),
    (WEBUI, f"{POD} initContainers 0 image", "busybox:1.37.0", "image busybox:1.37.0 is not in tests/images.yaml"),
    (WEBUI, f"{MAIN} image", "a/b@sha256:" + "0" * 64, "is not in tests/images.yaml"),
]


def test_every_image_is_pinned_and_reviewed(case: Case) -> None:
    assert_holds(IMAGES, case)


def test_planted_defects_are_found() -> None:
    assert_found(IMAGES, DEFECTS)


def test_the_reviewed_list_has_no_image_that_nothing_uses() -> None:
    """The rule finds an image that the list lacks."""
    used = set().union(*(images_of(manifests(case)) for case in scenarios().values()))
    listed = reviewed_images()
    assert listed == sorted(set(listed)), "tests/images.yaml is not sorted"
    assert set(listed) - used == set(), "no scenario uses these; remove them from tests/images.yaml"


def test_no_image_has_a_tag_that_moves(case: Case) -> None:
    """Without the rule's pattern for references: every image has a tag, and it is neither latest nor main."""
    for part in containers(rendered(case)):
        tag = part["image"].rpartition(":")[2]
        assert tag != part["image"] and tag not in ("latest", "main"), part["image"]
