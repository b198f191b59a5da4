"""Proves: docs/chooser.html has the planner's figures for every model, GPU, number of GPUs and data type, and requests nothing.

tests/cluster/test_chooser.py runs the page in Chromium and compares its answers with the planner's.
"""

import itertools
import json
import re

import pytest
from scout_chat.core.errors import UserError
from scout_chat.core.paths import ROOT
from scout_chat.planning import catalog
from scout_chat.planning.catalog import KnownIssue
from scout_chat.planning.planner import GPU_COUNTS, KV_DTYPES, PlanRequest, plan
from scout_chat.presets.chooser import page
from scout_chat.presets.chooser.data import Data
from scout_chat.presets.request import shipped

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
# Contexts around the borders of blocks and windows.
CONTEXTS = (1, 16, 17, 1023, 4096, 5119, 32768, 100000, 262144)


def data_of(text: str) -> Data:
    """Return the data in a page."""
    found = DATA.search(text)
    assert found
    data: Data = json.loads(found[1])
    return data


@pytest.fixture(scope="module")
def text() -> str:
    return page.page()


@pytest.fixture(scope="module")
def data(text: str) -> Data:
    return data_of(text)


def test_the_committed_page_is_current(text: str) -> None:
    assert page.TARGET.read_text() == text, "scout-chat generate"


def test_the_page_is_one_small_file_that_requests_nothing(text: str) -> None:
    assert len(text.encode()) < 500_000
    assert "default-src 'none'" in text
    code = DATA.sub("", text)
    assert re.findall(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=[\"'](?!data:)|@import|url\(|\bfetch\(|XMLHttpRequest|\bimport\b", code) == []


def test_every_combination_has_the_planners_cache_or_its_reason(data: Data) -> None:
    compared = 0
    for model, written in zip(catalog.models().values(), data["models"], strict=True):
        for checkpoint, weights in zip(model.checkpoints, written["checkpoints"], strict=True):
            places = itertools.product(enumerate(GPU_COUNTS), enumerate(KV_DTYPES), enumerate(catalog.gpus().values()))
            for (count_place, count), (dtype_place, dtype), (gpu_place, gpu) in places:
                run = weights["runs"][count_place][dtype_place][gpu_place]
                try:
                    cache = plan(PlanRequest(model, checkpoint, gpu, count, 1, kv_dtype=dtype)).cache
                except UserError as error:
                    assert data["errors"][-1 - run] == str(error)
                else:
                    size, fixed, growing = data["caches"][run]
                    assert size == cache.bytes_per_block
                    for context in CONTEXTS:
                        held = fixed + sum(groups * -(-min(context, most or context) // tokens) for groups, tokens, most in growing)
                        assert held == cache.blocks_per_request(context)
                compared += 1
            assert weights["loaded"] == [checkpoint.loaded_gib(gpu.capability) for gpu in catalog.gpus().values()]
    assert compared == sum(len(model.checkpoints) for model in catalog.models().values()) * len(catalog.gpus()) * len(GPU_COUNTS) * len(KV_DTYPES)


def test_the_page_fills_every_slot_of_a_values_file(data: Data) -> None:
    """A number that is new in the template of presets needs a value in values.js. Lines with a slot without one would be left out."""
    slots = {name for line in data["lines"] for name in re.findall(r"@\{([^|}]+)", line)}
    for_gpus = {f"{number} {gpu}" for number in ("kv_gib", "chats") for gpu in catalog.gpus()}
    filled = set(re.findall(r"^    (\w+): |values\.(\w+) = ", (page.FOLDER / "values.js").read_text(), re.MULTILINE))
    assert for_gpus < slots and slots - for_gpus == {name for pair in filled for name in pair if name}


def test_a_new_gpu_and_a_new_model_are_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = catalog.gpus()["l4"].model_copy(update={"name": "l5", "title": "NVIDIA L5"})
    model = catalog.models()["qwen3-8b"].model_copy(update={"name": "qwen5-8b", "title": "Qwen5-8B"})
    gpus, models = catalog.gpus() | {"l5": gpu}, catalog.models() | {"qwen5-8b": model}
    monkeypatch.setattr(catalog, "gpus", lambda: gpus)
    monkeypatch.setattr(catalog, "models", lambda: models)
    data = data_of(page.page())
    assert data["gpus"][-1]["title"] == "NVIDIA L5" and data["models"][-1]["title"] == "Qwen5-8B"
    assert "        #   NVIDIA L5                      @{kv_gib l5|%6.1f} GiB of KV cache, @{chats l5|chats}" in data["lines"]


def test_no_text_of_the_catalog_ends_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: markup in a known issue."""
    issue = KnownIssue(issue="</script><script>alert(1)</script>", source="planted")
    models = {"qwen3-8b": catalog.models()["qwen3-8b"].model_copy(update={"knownIssues": (issue,)})}
    monkeypatch.setattr(catalog, "models", lambda: models)
    monkeypatch.setattr("scout_chat.presets.chooser.data.shipped", dict)
    assert data_of(page.page())["models"][0]["checkpoints"][0]["issues"][0]["issue"] == issue.issue


def test_the_page_offers_shipped_files_without_other_options(data: Data) -> None:
    offered = {item["file"] for item in data["shipped"]}
    assert {"values/gpt-oss.yaml", "values/llama33-70b.yaml", "values/variants/gpt-oss-two-gpus.yaml"} < offered
    assert all((ROOT / file).is_file() for file in offered)
    others = {"local", "gpt-oss-prefetch", "gpt-oss-nfs", "gpt-oss-offline", "qwq-32b-two-engines", "two-models"}
    assert others <= {name.rpartition("/")[2] for name in shipped()} and not {f"values/variants/{name}.yaml" for name in others} & offered
