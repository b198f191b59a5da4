"""Take a screenshot of the chat in Debian's Chromium, through the real sign-in form and the real input field."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from scout_chat.core.errors import UserError

if TYPE_CHECKING:  # an optional dependency
    from playwright.sync_api import Browser, Page

# Chromium requests nothing but the page. Root in a container cannot use its sandbox.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ANSWER = ".chat-assistant"
# This button appears under an answer once the answer is complete.
COPY = ".copy-response-button"
DIALOG = "[role=dialog]"
NOTICE = "[data-sonner-toast]"
REFUSAL = f"{NOTICE}[data-type=error]"


def screenshot_chat(url: str, email: str, password: str, question: str, path: Path, expect: str | None = None, timeout: float = 300) -> str:
    """Sign in at ``url``, ask ``question`` in a new chat, and save a PNG of the page with the complete answer as ``path``.

    Return the answer as the page shows it. An engine's error stands in the same place, so pass in ``expect`` a text that
    the answer must contain; case is ignored. ``timeout``: seconds for each step, the answer included.
    Raises UserError if Chromium or playwright is missing, the sign-in is refused, a step takes too long, or the answer
    lacks ``expect``. The picture then shows the page at that moment.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _page(timeout) as page:
        step = "opening the page"
        try:
            page.goto(url)
            step = f"signing in as {email}"
            page.locator("#email").fill(email)
            page.locator("#password").fill(password)
            page.locator("button[type=submit]").click()
            page.locator(f"#chat-input, {REFUSAL}").first.wait_for()
            if page.locator(REFUSAL).count():
                raise RuntimeError(page.locator(REFUSAL).first.inner_text())
            step = "asking"
            page.locator("#chat-input").fill(question)
            page.locator("#send-message-button").click()
            step = "waiting for the answer"
            page.locator(COPY).last.wait_for(state="attached")
            answer = page.locator(ANSWER).last.inner_text().strip()
            step = "waiting until nothing covers the page"
            page.locator(DIALOG).wait_for(state="hidden")
            page.wait_for_function("selector => !document.querySelector(selector)", arg=NOTICE)
        except Exception as error:
            with suppress(Exception):
                page.screenshot(path=path)
            raise UserError(f"{url}: {step} in the browser failed: {str(error).splitlines()[0]}", f"The page at that moment: {path}") from error
        page.screenshot(path=path)
    if expect and expect.lower() not in answer.lower():
        raise UserError(f"{url}: the answer in the browser lacks {expect!r}: {answer}", f"The page: {path}")
    return answer


@contextmanager
def chromium() -> Iterator["Browser"]:
    """Give a new headless Chromium, and close it afterwards. Raises UserError if Chromium or playwright is missing."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise UserError("playwright is not installed", "pip install playwright") from error
    program = shutil.which("chromium")
    if not program:
        raise UserError("chromium is not installed", "apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def _page(timeout: float) -> Iterator["Page"]:
    """Give a page of a new Chromium, and close it afterwards. Any dialog that opens over the chat is dismissed."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800}, locale="en-US")
        page.set_default_timeout(timeout * 1000)
        # "What's new" opens over the chat at an administrator's first visit of a version, some time after the page.
        page.add_locator_handler(page.locator(DIALOG), lambda dialog: dialog.get_by_role("button").last.click())
        yield page
