"""Proves: the site of mkdocs.yml is built without a warning and requests nothing from other hosts, and no page depends on the server.

It does not prove how a browser shows a page.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from scout_chat.core.paths import ROOT
from scout_chat.maintain import cli_reference

# What a browser fetches by itself when it shows a page.
FETCHED = r"""<(?:script|img|source|iframe|audio|video|embed)\b[^>]*?\s(?:src|srcset)=["']?([^"'\s>]+)|<link\b[^>]*?\shref=["']?([^"'\s>]+)"""
LINK = r"""<a\b[^>]*?\shref=["']?([^"'\s>]+)"""


def build(config: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(config), "--site-dir", str(target)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    result = build(ROOT / "mkdocs.yml", target)
    assert result.returncode == 0, result.stdout + result.stderr
    return target


def pages(site: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in site.rglob("*.html") if path.name != "404.html"}


def test_pages_fetch_nothing_from_other_hosts(site: Path) -> None:
    fetched = {url for text in pages(site).values() for match in re.findall(FETCHED, text) for url in match if url}
    assert len(fetched) > 5
    assert [url for url in fetched if re.match(r"(https?:)?//", url)] == []
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert re.findall(r"url\([\"']?(?:https?:)?//[^)]*\)|@import", styles) == []


def test_no_page_has_a_diagram_that_a_script_from_another_host_would_draw(site: Path) -> None:
    """Material loads mermaid from unpkg.com if a page has such a block."""
    assert [str(path) for path, text in pages(site).items() if re.search(r'class="?mermaid', text)] == []


def test_every_link_within_the_site_leads_to_a_file(site: Path) -> None:
    """Also when the pages are opened from a folder, without a web server."""
    lost, seen = [], 0
    for path, text in pages(site).items():
        for url in re.findall(LINK, text):
            if re.match(r"[a-z]+:|//|#", url):
                continue
            seen += 1
            lost += [f"{path.relative_to(site)}: {url}"] if not (path.parent / unquote(url.partition("#")[0])).is_file() else []
    assert seen > 1000 and lost == []


def test_a_preset_to_which_a_page_links_is_a_page(site: Path) -> None:
    text = (site / "repository" / "values" / "gpt-oss.yaml.html").read_text()
    assert "gpuMemoryUtilization" in text and "values/gpt-oss.yaml" in text


def test_links_that_lead_nowhere_fail_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted defects, in a copy of what the build reads."""
    for name in ("docs", "values", "tests/README.md", "scripts/scout_chat", "mkdocs.yml"):
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    with (tmp_path / "docs" / "README.md").open("a") as file:
        file.write("\n[a page](gone.md)\n[a part](explain/planner.md#gone)\n[a preset](../values/gone.yaml)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "scripts"))
    result = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert result.returncode
    for message in (
        "Doc file 'README.md' contains a link 'gone.md', but the target is not found",
        "contains a link 'explain/planner.md#gone', but the doc 'explain/planner.md' does not contain an anchor '#gone'",
        "docs/README.md links to values/gone.yaml, which does not exist",
    ):
        assert message in result.stderr


def test_the_commands_have_no_trace_of_the_terminal() -> None:
    text = cli_reference.page(
        "# `x`\n\n**Commands**:\n\n* `a`: Cut...\n\n## `x a`\n\nSee docs/explain/planner.md.\n\nExample:\n\n  x a &quot;b&quot;\n\n"
        "**Usage**:\n\n```console\n$ x a\n```\n\n**Options**:\n\n* `--help`: Show this message and exit.\n\n## `x b`\n"
    )
    assert text == (
        '\n## `x a`\n\nSee [docs/explain/planner.md](../explain/planner.md).\n\nExample:\n\n```sh\nx a "b"\n```\n\n'
        "**Usage**:\n\n```console\n$ x a\n```\n\n## `x b`\n"
    )
