"""A hook of MkDocs (mkdocs.yml): makes a page of each file of the repository to which a document links.

On GitHub such a link leads to the file. The site contains the file instead, so it is complete wherever it is copied.
"""

import logging
import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from scout_chat.core.paths import ROOT

# `mkdocs build --strict` fails for a warning of this logger.
log = logging.getLogger("mkdocs.hooks.site")
DOCS, FOLDER = "docs", "repository"
# The target of a Markdown link, without its anchor; not of a link to a host or within the page.
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)[^)#\s]+")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add a page for each file of the repository to which a document links, and for those to which the added pages link."""
    to_read = [f"{DOCS}/{file.src_uri}" for file in files.documentation_pages()]
    seen = set(to_read)
    for document in to_read:
        for target in targets(document):
            if target not in seen and not is_ours(target):
                seen.add(target)
                to_read.append(target)
                files.append(File.generated(config, uri(target), content=content(target)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the page with links that lead to the pages that ``on_files`` added."""
    here = path_of(page.file.src_uri)

    def link(match: re.Match[str]) -> str:
        return os.path.relpath(uri(resolve(here, match[0])), PurePosixPath(page.file.src_uri).parent)

    return LINK.sub(link, markdown)


def targets(document: str) -> list[str]:
    """Return the files and folders to which a file of the repository links."""
    found = [resolve(document, link) for link in LINK.findall(content(document))]
    missing = [target for target in found if not (ROOT / target).exists()]
    for target in missing:
        # MkDocs itself names those within docs/.
        if not is_ours(target):
            log.warning(f"{document} links to {target}, which does not exist")
    return [target for target in found if target not in missing]


def resolve(document: str, link: str) -> str:
    """Return the path from the root of the repository to which a link in a document leads."""
    path = os.path.normpath(f"{PurePosixPath(document).parent}/{link}")
    return f"{path}/README.md" if (ROOT / path / "README.md").exists() else path


def is_ours(path: str) -> bool:
    """Return whether MkDocs knows the file already."""
    return path.startswith(f"{DOCS}/")


def uri(path: str) -> str:
    """Return the path of a file within the site's sources: Markdown and what is in docs/ keep their names."""
    if is_ours(path):
        return path.removeprefix(f"{DOCS}/")
    return f"{FOLDER}/{path}" if path.endswith(".md") else f"{FOLDER}/{path}.md"


def path_of(src_uri: str) -> str:
    """Return the path from the root of the repository of a source of the site."""
    if not src_uri.startswith(f"{FOLDER}/"):
        return f"{DOCS}/{src_uri}"
    path = src_uri.removeprefix(f"{FOLDER}/")
    return path if (ROOT / path).exists() else path.removesuffix(".md")


def content(path: str) -> str:
    """Return a file as Markdown: code in a block, and a folder as the list of its files. The search leaves these out."""
    file = ROOT / path
    if file.suffix == ".md":
        return file.read_text()
    if file.is_dir():
        body = "\n".join(f"* [{entry.name}]({file.name}/{entry.name})" for entry in sorted(file.iterdir()))
    else:
        body = f"````{Path(path).suffix.removeprefix('.')}\n{file.read_text()}````"
    return f"---\nhide: [navigation, toc]\nsearch: {{exclude: true}}\n---\n\n# {path}\n\n{body}\n"
