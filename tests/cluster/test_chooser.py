"""Proves, in Chromium: docs/chooser.html gives the planner's answers and the values files of `scout-chat preset`, for every model and GPU.

Needs no node. Where Chromium is not installed, the tests install Debian's package. They do not prove that the numbers are true of a GPU.
"""

import itertools
import random
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page
from scout_chat.chat.browser import chromium
from scout_chat.core.command import install_packages, run
from scout_chat.core.errors import UserError
from scout_chat.core.paths import ROOT
from scout_chat.planning import catalog
from scout_chat.planning.advice import Ranked, alternatives, chats, explain, ranking
from scout_chat.planning.catalog import Gpu
from scout_chat.planning.planner import GPU_COUNTS, KV_DTYPES, Plan
from scout_chat.presets import writer
from scout_chat.presets.chooser import page as chooser
from scout_chat.presets.chooser.outline import TOKEN_SECRET
from scout_chat.presets.request import PresetRequest

# What the page asks for: GPU, number of GPUs, data type of the cache, context, chats.
Query = tuple[Gpu, int, str, int, int]
# Lengths around the borders of blocks and windows, and what people ask for.
CONTEXTS = [1, 16, 1023, 1025, 4096, 5119, 8192, 12345, 16384, 32768, 40960, 65536, 65537, 100000, 131072, 200000, 262144]
CHATS = [1, 2, 3, 4, 5, 8, 13, 20, 32, 50, 64, 100, 129, 200, 300, 1000, 9999]
# JavaScript: the numbers of the page's rows, with suggestions as `scout-chat plan` writes them; the commands and files of those that fit.
NUMBERS = """rows => rows.map(row => row.error ? [row.model.name, row.error] : [
  row.model.name, row.checkpoint.id, row.context, row.utilization, row.usable, row.weights, row.reserve, row.kvGib, row.blocks, row.concurrency,
  row.fitting, row.requestGib, row.maxNumSeqs, row.longest, row.shortfall, row.bottleneck, explain(row),
  row.fits ? [] : alternatives(row).map(({ field, value, plan }) => ({
    chats: `--concurrent-chats ${value}`, context: `--context ${value}`, dtype: `--kv-dtype ${value} (${countChats(plan.fitting)})`,
    gpus: `--gpus ${value} (${countChats(plan.fitting)})`, gpu: `--gpu ${value.name} (${countChats(plan.fitting)})` }[field]))])"""
FILES = "rows => rows.filter(row => row.fits).map(row => [command(row), valuesFile(row)])"


def queries(number: int, seed: int) -> list[Query]:
    """Return so many queries for each GPU, number of GPUs and data type."""
    chosen = random.Random(seed)
    places = itertools.product(catalog.gpus().values(), GPU_COUNTS, KV_DTYPES)
    return [(*place, chosen.choice(CONTEXTS), chosen.choice(CHATS)) for place in places for _ in range(number)]


def answers_of_page(page: Page, asked: list[Query], wanted: str) -> list[Any]:
    """Return what a function of JavaScript makes of the page's rows, for each query."""
    script = f"""queries => queries.map(([gpu, gpus, dtype, context, chats]) => ({wanted})(
      ranking({{ gpu: DATA.gpus.find(item => item.name === gpu), gpus, dtype, context, chats }})))"""
    found: list[Any] = page.evaluate(script, [(gpu.name, *rest) for gpu, *rest in asked])
    return found


def answers(query: Query) -> list[Ranked]:
    gpu, gpus, dtype, context, wanted = query
    return ranking(gpu, gpus, context, wanted, dtype)


def numbers(row: Ranked) -> list[Any]:
    """Return the planner's numbers, in the order of NUMBERS."""
    model, plan = row
    if isinstance(plan, UserError):
        return [model.name, str(plan)]
    assert plan.memory
    request, memory = plan.request, plan.memory
    return [
        model.name, request.checkpoint.id, request.context, request.utilization, memory.usable_gib, memory.weights_gib, memory.reserve_gib, plan.kv_gib,
        plan.kv_blocks, plan.max_concurrency, plan.concurrent_chats, plan.request_gib, plan.max_num_seqs, plan.longest, plan.shortfall_gib,
        plan.bottleneck, explain(plan), [] if plan.fits else [other.change for other in alternatives(plan)],
    ]  # fmt: skip


def request(plan: Plan) -> PresetRequest:
    """Return the options of `scout-chat preset` for a plan."""
    planned = plan.request
    assert planned.gpu
    preferred = planned.checkpoint == planned.model.checkpoints[0]
    return PresetRequest(
        models=(planned.model.name if preferred else planned.checkpoint.id,),
        gpu=planned.gpu.name,
        gpus=planned.tensor_parallel,
        context=planned.context,
        concurrent_chats=planned.concurrent_chats,
        kv_dtype=planned.kv_dtype,
        token_secret=TOKEN_SECRET if planned.checkpoint.gated else "",
    )


def parsed(line: str) -> PresetRequest:
    """Return the options of a command line of `scout-chat preset` with one model."""
    _, _, model, *options = shlex.split(line)
    given: dict[str, Any] = {name.removeprefix("--").replace("-", "_"): value for name, value in zip(options[::2], options[1::2], strict=True)}
    return PresetRequest(models=(model,), **given)


@pytest.fixture(scope="module")
def browser_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page as the catalog makes it now, opened from a folder. Every request but the page itself fails the test."""
    try:
        install_packages({"chromium": "chromium"})
    except UserError as error:
        pytest.skip(f"needs Chromium: {error}")
    file = tmp_path_factory.mktemp("site") / "chooser.html"
    file.write_text(chooser.page())
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 900}, locale="en-US")
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.on("request", lambda request: problems.append(request.url))
        page.goto(file.as_uri())
        yield page
        assert problems == [file.as_uri()]


def button(change: str) -> str:
    """Return the text of the page's button for a change that `scout-chat plan` suggests."""
    labels = {"--gpu": "GPU", "--gpus": "Number of GPUs", "--context": "Context in tokens", "--concurrent-chats": "Concurrent chats", "--kv-dtype": "KV cache"}
    option, value = change.split(" ", 1)
    if option == "--gpu":
        name, counted = value.split(" ", 1)
        value = f"{catalog.gpus()[name].title} {counted}"
    return f"{labels[option]}: {value}"


def ask(page: Page, query: Query) -> None:
    """Open the page with a query in its address."""
    gpu, gpus, dtype, context, wanted = query
    ask_words(page, gpu=gpu.name, gpus=gpus, dtype=dtype, context=context, chats=wanted)


def ask_words(page: Page, **words: object) -> None:
    page.evaluate("hash => { location.hash = hash; load(); }", urlencode(words))


def test_the_page_has_the_planners_numbers(browser_page: Page) -> None:
    """To the last bit of every number, for all models at once."""
    asked = queries(5, seed=12)
    found = answers_of_page(browser_page, asked, NUMBERS)
    compared = 0
    for query, rows in zip(asked, found, strict=True):
        expected = [numbers(row) for row in answers(query)]
        assert rows == expected, f"{query[0].name} {query[1:]}"
        compared += len(expected)
    print(f"{len(asked)} queries, {compared} combinations of a model with a query: equal")


def test_the_page_rounds_as_python_does(browser_page: Page) -> None:
    """Ties, which Python rounds to the even digit and JavaScript upwards, and others."""
    chosen = random.Random(3)
    sizes = [count / 64 for count in range(2000)] + [chosen.uniform(0, 300) for _ in range(2000)]
    assert browser_page.evaluate("sizes => sizes.map(size => [fixed(size, 1), fixed(size, 2)])", sizes) == [[f"{size:.1f}", f"{size:.2f}"] for size in sizes]
    assert browser_page.evaluate("0.125.toFixed(2)") != f"{0.125:.2f}"


def test_the_page_writes_the_files_of_the_preset_command(browser_page: Page) -> None:
    """Byte for byte, with the same command line in each."""
    asked = queries(1, seed=7)
    found = answers_of_page(browser_page, asked, FILES)
    compared = 0
    for query, rows in zip(asked, found, strict=True):
        wanted = [request(plan) for _, plan in answers(query) if isinstance(plan, Plan) and plan.fits]
        for (line, text), options in zip(rows, wanted, strict=True):
            assert parsed(line) == options and line == options.command()
            assert text == writer.write(options), line
            compared += 1
    assert compared > 300
    print(f"{compared} values files: equal")


def test_the_page_writes_the_file_of_every_checkpoint(browser_page: Page) -> None:
    """With every number of GPUs and data type: one chat of 1024 tokens on the largest GPU."""
    largest = max(catalog.gpus().values(), key=lambda gpu: gpu.memory)
    compared = 0
    for gpus, dtype in itertools.product(GPU_COUNTS, KV_DTYPES):
        found = browser_page.evaluate(
            """([gpu, gpus, dtype]) => DATA.models.flatMap(model => model.checkpoints.map(checkpoint => plan(
              { model, checkpoint, gpu: DATA.gpus.find(item => item.name === gpu), gpus, dtype, context: 1024, chats: 1 })))
              .filter(row => row.fits).map(row => [command(row), valuesFile(row)])""",
            [largest.name, gpus, dtype],
        )
        for line, text in found:
            assert text == writer.write(parsed(line)), line
        compared += len(found)
    assert compared > 200
    print(f"{compared} values files of different weights, numbers of GPUs and data types: equal")


def test_a_person_asks_with_the_keyboard_and_downloads_the_file(browser_page: Page, tmp_path: Path) -> None:
    page = browser_page
    ask_words(page)
    page.locator("select[name=gpu]").focus()
    page.keyboard.type("H200")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.type("64k")
    page.keyboard.press("Tab")
    page.keyboard.type("20")
    rows = [(model, plan) for model, plan in ranking(catalog.gpus()["h200"], 2, 65536, 20) if isinstance(plan, Plan) and plan.fits]
    full = [(model, plan) for model, plan in rows if plan.request.context == 65536]
    assert page.locator("#fits b").all_inner_texts() == [model.title for model, _ in full]
    assert page.locator("#shorter b").all_text_contents() == [model.title for model, plan in rows if plan.request.context < 65536]
    assert page.locator("#status").inner_text() == f"{len(full)} of {len(catalog.models())} models fit: 20 chats of 65536 tokens on 2 x NVIDIA H200."
    assert page.url.endswith("#gpu=h200&gpus=2&context=64k&chats=20&dtype=auto")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    first = page.locator("#fits details[open]").first
    assert first.get_attribute("data-model") == full[0][0].name
    for word in (f"{full[0][1].concurrent_chats} chats", f"{full[0][1].longest} tokens", full[0][1].request.checkpoint.id):
        assert word in first.locator("summary").first.inner_text()
    with page.expect_download() as download:
        first.get_by_role("button", name="Download").press("Enter")
    assert download.value.suggested_filename == "model.yaml"
    written, helm = first.locator("pre.commands").inner_text().splitlines()
    words = shlex.split(written)
    assert words[:2] == [".venv/bin/scout-chat", "preset"] and words[-2:] == ["-o", "model.yaml"]
    assert helm == "helm install chat charts/scout-chat -n chat --create-namespace -f model.yaml"
    run(str(ROOT / words[0]), *words[1:-1], str(tmp_path / "model.yaml"))
    assert download.value.path().read_bytes() == (tmp_path / "model.yaml").read_bytes()
    first.get_by_text("Show the file").click()
    assert first.locator("pre.file").inner_text() == (tmp_path / "model.yaml").read_text()


def test_a_shipped_file_is_offered_where_it_holds_the_chats(browser_page: Page) -> None:
    def offered(gpu: str, context: int, wanted: int) -> str:
        ask(browser_page, (catalog.gpus()[gpu], 1, "auto", context, wanted))
        row = browser_page.locator("#fits [data-model='gpt-oss-120b']")
        row.locator("summary").first.click()
        return row.locator(".body").inner_text()

    install = "helm install chat charts/scout-chat -n chat --create-namespace -f values/gpt-oss.yaml"
    assert install in offered("a100-80", 32768, 5)
    assert install in offered("a100-80", 8192, 2)
    assert "values/gpt-oss.yaml" not in offered("a100-80", 16384, 10)
    assert "values/variants/gpt-oss-h200.yaml" in offered("h200", 131072, 10)


def test_the_picture_has_a_line_for_each_model_that_fits_and_the_requested_point(browser_page: Page) -> None:
    query = catalog.gpus()["a100-80"], 1, "auto", 32768, 8
    ask(browser_page, query)
    fitting = {model.name: plan for model, plan in answers(query) if isinstance(plan, Plan) and plan.fits and plan.request.context == 32768}
    picture = browser_page.locator("#picture svg")
    assert picture.locator("g.model").evaluate_all("all => all.map(line => line.dataset.model)") == list(fitting)
    points = picture.locator("g.model title").all_text_contents()
    for plan in fitting.values():
        assert f"{plan.request.model.title}: {chats(plan.concurrent_chats)} of 32768 tokens" in points
    assert picture.locator(".requested text").text_content() == "requested: 8 chats of 32768 tokens"
    # A line is above the point if the model holds more chats.
    heights = browser_page.evaluate(
        """() => [...document.querySelectorAll("#picture g.model")].map(line => [...line.querySelectorAll("circle")]
          .find(point => point.textContent.endsWith("of 32768 tokens")).cy.baseVal.value)"""
    )
    requested = picture.locator(".requested circle").evaluate("point => point.cy.baseVal.value")
    assert all(height <= requested for height in heights)
    assert sorted(fitting, key=lambda name: -fitting[name].max_concurrency) == [name for _, name in sorted(zip(heights, fitting, strict=True))]


def test_a_query_that_nothing_fits_says_by_how_much_and_what_would_fit(browser_page: Page) -> None:
    page, query = browser_page, (catalog.gpus()["a100-80"], 2, "auto", 262144, 64)
    ask(page, query)
    model, nearest = next((model, plan) for model, plan in answers(query) if isinstance(plan, Plan) and not plan.fits and plan.request.context == 262144)
    assert page.locator("#status").inner_text() == (
        f"No model fits: 64 chats of 262144 tokens on 2 x NVIDIA A100 80 GB. The nearest is {model.title}: {explain(nearest)}. "
        f"{nearest.shortfall_gib:.2f} GiB of each GPU are missing."
    )
    assert page.locator("#fits").is_hidden() and page.locator("#others details").get_attribute("open") is not None
    row = page.locator(f"#others [data-model='{model.name}']")
    assert row.locator("button").all_inner_texts() == [button(other.change) for other in alternatives(nearest)]
    row.get_by_role("button", name="Concurrent chats").click()
    assert page.locator(f"#fits [data-model='{model.name}']").count() == 1
    assert f"chats={nearest.concurrent_chats}&" in page.url


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        ({"context": "many"}, ["Write a number of tokens, for example 32768 or 32k."]),
        ({"context": "0"}, ["Write a number of tokens, for example 32768 or 32k."]),
        ({"context": "-1"}, ["Write a number of tokens, for example 32768 or 32k."]),
        ({"context": "1000k"}, ["No model of the catalog supports more than 262144 tokens."]),
        ({"chats": ""}, ["Write a whole number from 1 to 9999."]),
        ({"chats": "1.5"}, ["Write a whole number from 1 to 9999."]),
        ({"chats": "10000"}, ["Write a whole number from 1 to 9999."]),
        ({"gpu": "<b>v100"}, ["The catalog does not have this GPU. Choose one of the list."]),
        ({"gpus": "3", "dtype": "fp4"}, ["Choose 1 or 2 or 4 or 8.", "Choose auto or fp8."]),
    ],
)
def test_a_bad_query_has_a_message_at_its_field_and_no_answer(browser_page: Page, words: dict[str, str], messages: list[str]) -> None:
    ask_words(browser_page, **words)
    assert [text for text in browser_page.locator(".error").all_inner_texts() if text] == messages
    assert browser_page.locator("[aria-invalid=true]").count() == len(messages)
    assert browser_page.locator("#answer").is_hidden() and browser_page.locator("#status").inner_text() == ""
    ask_words(browser_page)
    assert browser_page.locator("#answer").is_visible()
