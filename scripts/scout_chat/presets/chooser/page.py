"""Write docs/chooser.html: one file with its style, its data and its scripts, so that it works from a folder and requests nothing."""

import json
from functools import cache
from pathlib import Path

import jinja2

from scout_chat.core.paths import ROOT
from scout_chat.presets.chooser.data import Data, data

TARGET = ROOT / "docs" / "chooser.html"
FOLDER = Path(__file__).parent
# In the order in which the page runs them.
SCRIPTS = ("planner.js", "values.js", "picture.js", "page.js")


def page() -> str:
    """Return the page."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    script = "\n".join((FOLDER / name).read_text() for name in SCRIPTS)
    return environment.get_template("page.html").render(style=(FOLDER / "page.css").read_text(), data=_json(data()), script=script)


def _json(values: Data) -> str:
    """Return JSON that can stand in a script element, with a line for each model, cache and so on: its differences can be read."""

    def compact(value: object) -> str:
        # A "</script>" in a text would end the element.
        return json.dumps(value, separators=(",", ":")).replace("</", "<\\/")

    def lines(value: object) -> str:
        return "[\n" + ",\n".join(map(compact, value)) + "]" if isinstance(value, list) else compact(value)

    return "{" + ",\n".join(f"{json.dumps(key)}:{lines(value)}" for key, value in values.items()) + "}\n"


@cache
def generated_files() -> dict[Path, str]:
    """Return the page and its content. A process makes it once: it depends on the catalog and the planner alone."""
    return {TARGET: page()}
