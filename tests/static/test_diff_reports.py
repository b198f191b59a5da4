"""Proves: a report shows every change in each of its formats, whatever the values are, and never a secret."""

from scout_chat.review.consequences import CONSEQUENCES
from scout_chat.review.html import html_page
from scout_chat.review.markdown import COMMENT_CHARACTERS, markdown_comment
from scout_chat.review.report import Change, Refusal, Report
from scout_chat.review.summary import NOTHING_CHANGES
from scout_chat.review.terminal import terminal_text

from tests.support.manifests import changes, deployment, manifest

HIDDEN = ["c2VjcmV0", "hunter2", "t0psecret", "s3cr3t", "pa55"]


def test_no_secret_value_is_in_a_report() -> None:
    env = [{"name": "OPENAI_API_KEY", "value": "hunter2"}, {"name": "URL", "value": "postgres://me:pa55@db/x"}]
    old = [
        manifest("Secret", data={"a": "c2VjcmV0", "b": "c2VjcmV0"}, stringData={"c": '{"x": "t0psecret"}'}),
        deployment(env=[], args=["--api-key", "0"]),
    ]
    new = [
        manifest("Secret", data={"a": "aHVudGVyMg==", "d": "c2VjcmV0"}, stringData={"c": '{"x": "s3cr3t"}'}),
        deployment(env=env, args=["--api-key", "t0psecret", "--auth-token=s3cr3t"]),
    ]
    found = changes(old, new)
    assert {change.path for change in found if change.consequence == "secret"} == {"data.a", "data.b", "data.c", "data.d"}
    report = Report("a", "b", ("s",), {change: ("s",) for change in found})
    for text in (terminal_text(report).plain, markdown_comment(report), html_page(report)):
        assert "OPENAI_API_KEY" in text and "(hidden)" in text
        assert not [value for value in [*HIDDEN, "aHVudGVyMg", "dDBwc2VjcmV0"] if value in text]


def report(*found: Change, added: tuple[str, ...] = (), refusals: tuple[Refusal, ...] = ()) -> Report:
    return Report("old", "new", ("s",), {change: ("s",) for change in found}, added=added, refusals=refusals)


def test_the_page_escapes_everything() -> None:
    evil = "<script>alert(1)</script>&\"'"
    found = Change("other", f"Kind/{evil}", f"path.{evil}", evil, f"{evil}\n{evil}", evil)
    more = [Change("other", "a/b", "c", before, after) for before, after in ((evil, "x"), (f"same {evil}", "same x"), (None, evil), (evil, None))]
    text = html_page(report(found, *more, added=(evil,), refusals=(Refusal(evil, "old", evil),)))
    text += html_page(Report(evil, evil, (evil,)))
    assert "<script" not in text and text.count("&lt;script&gt;") > 10
    assert "http:" not in text and "https:" not in text and "url(" not in text


def test_no_value_breaks_out_of_the_comments_markup() -> None:
    text = markdown_comment(report(Change("other", "Kind/`|`a", "data.x", "```\n</details>\n@somebody", "````\nb", "note `x`")))
    assert "\n`````diff\n" in text and text.count("\n</details>\n") == 1
    assert text.index("@somebody") > text.index("`````diff")


def test_a_long_comment_is_cut_and_names_where_the_rest_is() -> None:
    many = [Change("other", f"ConfigMap/{index}", "data.x", "a" * 300, "b" * 300, "") for index in range(500)]
    worst = Change("refused", "Deployment/web", "spec.selector", "a", "b")
    text = markdown_comment(report(worst, *many), "The page has all of them (diff.html).")
    assert 40_000 < len(text) <= COMMENT_CHARACTERS
    assert "Deployment/web" in text and "The page has all of them (diff.html)." in text.splitlines()[-1]
    assert text.count("<details>") == text.count("</details>") == 2


def test_control_characters_are_escaped() -> None:
    (change,) = changes([manifest("ConfigMap", data={"a": "1"})], [manifest("ConfigMap", data={"a": "\x1b[2J\u202e"})])
    assert change.new == "\\x1b[2J\\x202e"


def test_every_format_says_that_nothing_changes() -> None:
    empty = report()
    assert all(NOTHING_CHANGES in text for text in (terminal_text(empty).plain, markdown_comment(empty), html_page(empty)))


def test_the_page_has_a_color_for_every_consequence() -> None:
    page = html_page(report(*(Change(name, "a/b", "c", "1", "2") for name in CONSEQUENCES)))
    for name in CONSEQUENCES:
        slug = name.replace(" ", "-")
        assert f'<section class="{slug}" id="{slug}">' in page
        assert f".{slug} {{ --tone: var(--{slug}); }}" in page
        assert page.count(f"--{slug}: #") == 2, "one for light and one for dark"
