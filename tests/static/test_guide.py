"""Proves: links of the documents lead to headings that exist, and pages that repeat data of the project agree with it.

The data: the sections of the old role's README, parsers of the catalog, causes of a dead engine, rendered objects. This file does not prove
that an explanation is true or easy to read.
"""

import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from scout_chat.chart.render import Case
from scout_chat.chat import diagnosis
from scout_chat.core import kubeyaml
from scout_chat.core.paths import CHART, ROOT
from scout_chat.planning.catalog import models

from tests.support.renders import rendered

DOCS = ROOT / "docs"
DOCUMENTS = [*ROOT.glob("*.md"), CHART / "README.md", ROOT / "tests" / "README.md", *sorted(DOCS.rglob("*.md"))]
LINK = r"\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]*))?\)"
# The headings of the README of the Ansible role that this chart replaces.
SECTIONS = """Overview, Configuration, Model Selection, Available Models, Backend Selection, GPU Requirements, Resource Allocation, Storage Configuration,
Deployment, Deploy Chat Service, Verify Deployment, Monitoring, Architecture, Components, Troubleshooting, Pod Not Starting, Out of Memory (OOM),
Function Calling Not Working, Switching Models, Performance Tuning, For Higher Concurrency, For Maximum Context, Memory Optimization, Scaling,
Adding Second GPU, References"""


def without_code(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings: lower case, spaces as dashes, only letters, digits, dashes and underscores."""
    headings = re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading)).lower().replace(" ", "-") for heading in headings}


def lost_anchors(path: Path, text: str) -> Iterator[str]:
    """Yield the links of a document whose heading does not exist."""
    for target, anchor in re.findall(LINK, without_code(text)):
        file = path.parent / target if target else path
        if anchor and file.suffix == ".md" and anchor not in anchors(text if file == path else file.read_text()):
            yield f"{target}#{anchor}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_heading_leads_to_one(path: Path) -> None:
    assert list(lost_anchors(path, path.read_text())) == []


def test_a_link_to_a_heading_that_was_renamed_is_found() -> None:
    """Planted defects."""
    text = "# A `B`: c, d\n\n[here](#a-b-c-d), [gone](#a-b), [there](docs/explain/planner.md#gone)\n"
    assert list(lost_anchors(ROOT / "README.md", text)) == ["#a-b", "docs/explain/planner.md#gone"]


def test_every_page_that_a_file_of_the_project_names_exists() -> None:
    """Also in comments, in the chart's messages and in the help of the commands."""
    files = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    lost = set()
    for name in filter(None, files):
        if name.startswith(("docs/", "tests/snapshots/", "tests/static/test_site.py")) or not (ROOT / name).is_file():
            continue
        for page in re.findall(r"(?<![\w./-])docs/[\w/.-]+?\.md\b", (ROOT / name).read_text(errors="ignore")):
            lost |= {f"{name}: {page}"} if not (ROOT / page).exists() else set()
    assert lost == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_has_no_syntax_that_only_the_site_or_only_github_shows(path: Path) -> None:
    """Admonitions, tabs and attributes of MkDocs; alerts and diagrams of GitHub."""
    assert re.findall(r"^ *(?:!!!|\?\?\?|===) .*|^> \[!\w+\]|^ *```mermaid|\{: ?[.#]\w", path.read_text(), re.MULTILINE) == []


def test_every_code_block_has_a_language() -> None:
    """Formulas and headers are the only blocks that no tool reads."""
    plain = {}
    for path in DOCUMENTS:
        fences = re.findall(r"^ *```(.*)$", path.read_text(), re.MULTILINE)
        plain[path.relative_to(ROOT).as_posix()] = fences[::2].count("")
    assert {name: count for name, count in plain.items() if count} == {
        "docs/decisions/0008-rooms-of-the-package.md": 1,
        "docs/explain/routers.md": 1,
        "docs/explain/sizing.md": 1,
    }


# The sections of the old role's README


@cache
def links(path: Path) -> set[Path]:
    """Return the documents to which a document links."""
    found = {Path(os.path.normpath(path.parent / target)) for target, _ in re.findall(LINK, path.read_text()) if target}
    return {file / "README.md" if file.is_dir() else file for file in found}


def steps(target: Path) -> int:
    """Return how many links lead from the README to a document; 0 for the README."""
    reached, count = {ROOT / "README.md"}, 0
    while target not in reached:
        reached |= {file for path in reached if path.suffix == ".md" and path.exists() for file in links(path)}
        count += 1
        assert count < 10, target
    return count


def seed_rows() -> dict[str, tuple[list[Path], int]]:
    """Return for each section the pages that answer it, and the number of steps that the table claims."""
    path = DOCS / "operate" / "from-the-role.md"
    rows = re.findall(r"^\| ([^|]+) \| (.*\]\(.*) \| (\d) \|$", path.read_text(), re.MULTILINE)
    return {section: ([Path(os.path.normpath(path.parent / target)) for target, _ in re.findall(LINK, cell)], int(count)) for section, cell, count in rows}


def test_every_section_of_the_old_roles_readme_is_answered() -> None:
    assert list(seed_rows()) == [section.strip() for section in SECTIONS.replace("\n", " ").split(",")]


@pytest.mark.parametrize("section", seed_rows())
def test_an_answer_is_at_most_two_steps_from_the_readme(section: str) -> None:
    pages, claimed = seed_rows()[section]
    assert pages
    assert max(map(steps, pages)) == claimed <= 2


# Pages that repeat data


def table(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table in a section of a page under docs/operate, without its header."""
    _, _, below = (DOCS / "operate" / f"{page}.md").read_text().partition(f"\n## {heading}\n")
    assert below, f"{page} has no section {heading}"
    rows = re.findall(r"^\|(.*)\|$", re.split(r"^## ", below, flags=re.MULTILINE)[0], re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in rows[2:]]


def test_the_table_of_parsers_is_the_catalogs() -> None:
    shown = {
        (re.findall(r"^`(\w+)`", tool)[0], reasoning.strip("`").replace("none", "")) for _, tool, reasoning in table("troubleshoot", "Tool calls shown as text")
    }
    assert shown == {(model.tool, model.reasoning) for model in models().values() if model.tool}


@pytest.mark.parametrize("pattern", diagnosis.CAUSES)
def test_every_known_cause_of_a_dead_engine_is_explained(pattern: str) -> None:
    """By a line of its log, and with the values that the remedy names."""
    remedies = [row[2] for row in table("troubleshoot", "CrashLoopBackOff") if any(re.search(pattern, log) for log in re.findall(r"`([^`]+)`", row[0]))]
    assert remedies, f"no line in docs/operate/troubleshoot.md matches {pattern}"
    keys = set(re.findall(r"engine\.\w+", diagnosis.CAUSES[pattern]))
    assert not keys or keys & set(re.findall(r"engine\.\w+", " ".join(remedies)))


def test_every_object_of_every_scenario_is_in_the_reference(case: Case) -> None:
    text = (DOCS / "reference" / "objects.md").read_text()
    known = re.findall(r"^\| (\w+) \| `([^`]+)` \|", text, re.MULTILINE)
    assert len(known) > 30
    patterns = {f"{kind}/{re.sub('^R-', f'{case.release}-', name)}".replace("<engine>", "[a-z0-9-]+").replace("<hash>", "[0-9a-f]+") for kind, name in known}
    names = [f"{item.kind}/{item.name}" for item in rendered(case)]
    assert [name for name in names if not any(re.fullmatch(pattern, name) for pattern in patterns)] == []


def test_every_container_of_every_scenario_is_in_the_reference(case: Case) -> None:
    _, _, below = (DOCS / "reference" / "objects.md").read_text().partition("\n## Containers\n")
    pods = [item.body["spec"] if item.kind == "Pod" else item.body["spec"]["template"]["spec"] for item in rendered(case) if item.kind in ("Pod", "Deployment")]
    names = {container["name"] for pod in pods for container in [*pod.get("initContainers", []), *pod["containers"]]}
    assert {name for name in names if f"`{name}`" not in below} == set()


def test_the_names_in_the_drawing_are_those_of_the_reference() -> None:
    drawn = "".join(ElementTree.parse(DOCS / "explain" / "architecture.svg").getroot().itertext())
    names = set(re.findall(r"\bR-[\w<>-]+", drawn))
    assert len(names) >= 5
    known = (DOCS / "reference" / "objects.md").read_text().replace("<engine>", "<name>")
    assert {name for name in names if f"`{name}`" not in known} == set()


@pytest.mark.parametrize("path", [path for path in DOCS.rglob("*.svg") if path.name != "favicon.svg"], ids=lambda path: path.name)
def test_a_drawing_can_be_read_in_the_dark(path: Path) -> None:
    """It has a background of its own, because the page around it may have another color scheme than the system."""
    text = path.read_text()
    assert ('class="page"' in text and "prefers-color-scheme: dark" in text) or re.search(r"fill: ?#ffffff", text)


def test_the_images_of_the_reference_are_those_that_a_site_must_mirror() -> None:
    text = (DOCS / "reference" / "images.md").read_text()
    shown = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    assert shown == kubeyaml.load((ROOT / "tests" / "images.yaml").read_text())
