"""Proves: what an upgrade changes is told with its consequence, once, without noise, and no secret value is in a report."""

import copy
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from scout_chat.chart import archives, render
from scout_chat.chart.render import Object
from scout_chat.chart.scenarios import scenarios
from scout_chat.cli import app
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART, PRESETS, ROOT
from scout_chat.core.tools import tool
from scout_chat.review import diff, sides
from scout_chat.review.consequences import CONSEQUENCES
from scout_chat.review.html import html_page
from scout_chat.review.markdown import COMMENT_CHARACTERS, markdown_comment
from scout_chat.review.report import Change, Refusal, Report
from scout_chat.review.sides import Side, side, with_values, working_tree
from scout_chat.review.summary import NOTHING_CHANGES
from scout_chat.review.terminal import terminal_text
from scout_chat.review.tree import differences

ENGINE = {"app.kubernetes.io/component": "serving-engine", "model": "m"}


def deployment(labels: dict | None = None, **container: object) -> dict:
    labels = labels or {"app": "web"}
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "web", "labels": {"helm.sh/chart": "scout-chat-0.1.0", "app.kubernetes.io/version": "1.0"}},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": dict(labels)},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "web:1"} | container]}},
        },
    }


def thing(kind: str, **fields: object) -> dict:
    metadata = {"name": "thing", **fields.pop("metadata", {})}
    return {"kind": kind, "apiVersion": "v1", "metadata": metadata, **fields}


def claim(size: str, **fields: object) -> dict:
    return thing("PersistentVolumeClaim", spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}, **fields)


def stateful_set(**fields: object) -> dict:
    return thing("StatefulSet", spec={"serviceName": "a", "replicas": 1, "template": deployment()["spec"]["template"], **fields})


def changes(old: dict | list[dict] | None, new: dict | list[dict] | None, chart: str = "scout-chat") -> list[Change]:
    sides = [[Object(chart, body) for body in (side if isinstance(side, list) else [side] if side else [])] for side in (old, new)]
    return list(diff.changes_between(*sides))


def edited(body: dict, path: str, value: object) -> dict:
    """A copy with ``a.b.0.c`` set."""
    body = copy.deepcopy(body)
    at, keys = body, path.split("/")
    for key in keys[:-1]:
        at = at[int(key)] if isinstance(at, list) else at.setdefault(key, {})
    at[keys[-1]] = value
    return body


HOOK = {"annotations": {"helm.sh/hook": "test"}}
KEEP = {"annotations": {"helm.sh/resource-policy": "keep"}}
BOUND = thing("RoleBinding", roleRef={"name": "a"}, subjects=[{"name": "x"}])


@pytest.mark.parametrize(
    ("old", "new", "consequence", "note"),
    [
        (deployment(), edited(deployment(), "spec/selector/matchLabels", {"app": "x"}), "refused", "selector"),
        (stateful_set(), stateful_set(serviceName="b"), "refused", "StatefulSet"),
        (stateful_set(), stateful_set(volumeClaimTemplates=[{"metadata": {"name": "d"}}]), "refused", "StatefulSet"),
        (thing("Job", spec={"template": {"a": 1}}), thing("Job", spec={"template": {"a": 2}}), "refused", "Job"),
        (claim("2Gi"), edited(claim("2Gi"), "spec/storageClassName", "fast"), "refused", "claim"),
        (claim("2Gi"), edited(claim("2Gi"), "spec/accessModes", ["ReadWriteMany"]), "refused", "claim"),
        (claim("2Gi"), claim("2000Mi"), "refused", "cannot shrink"),
        (thing("Service", spec={"clusterIP": "None"}), thing("Service", spec={"clusterIP": "10.0.0.1"}), "refused", "address"),
        (BOUND, BOUND | {"roleRef": {"name": "b"}}, "refused", "roleRef"),
        (thing("ConfigMap", immutable=True, data={"a": "1"}), thing("ConfigMap", immutable=True, data={"a": "2"}), "refused", "immutable"),
        (thing("Secret", immutable=True, data={"a": "1"}), thing("Secret", immutable=True, data={"a": "2"}), "refused", "immutable"),
        (thing("Secret", type="Opaque"), thing("Secret", type="kubernetes.io/tls"), "refused", "type"),
        (thing("StorageClass", provisioner="a"), thing("StorageClass", provisioner="b"), "refused", "another name"),
        (claim("1Gi"), claim("1025Mi"), "data", "expansion"),
        (claim("1Gi"), edited(claim("1Gi"), "spec/volumeAttributesClassName", "fast"), "data", ""),
        (None, claim("1Gi"), "data", "a new volume of 1Gi"),
        (claim("1Gi", metadata=KEEP), None, "data", "keep holds the claim"),
        (claim("1Gi"), None, "data", "Helm deletes the claim"),
        (claim("1Gi", metadata=KEEP), claim("1Gi"), "data", "uninstalling deletes the claim now"),
        (None, thing("Secret", data={"a": "1"}), "secret", ""),
        (thing("Secret", data={"a": "1"}), None, "secret", ""),
        (thing("Secret", data={"a": "1"}), thing("Secret", data={"a": "2"}), "secret", "the value differs"),
        (thing("Secret", stringData={"a": "1"}), thing("Secret", stringData={"a": "1", "b": "2"}), "secret", ""),
        (deployment(ENGINE), deployment(ENGINE, image="web:2"), "engine reloads", "Recreate"),
        (deployment(ENGINE), None, "engine reloads", "gone"),
        (deployment(), deployment(image="web:2"), "pods restart", "Recreate"),
        (stateful_set(), edited(stateful_set(), "spec/template/spec/containers/0/image", "web:2"), "pods restart", "a new pod"),
        (None, deployment(), "pods restart", "new pods start"),
        (deployment(), edited(deployment(), "spec/template/metadata/labels/helm.sh~chart", "a-2"), "pods restart", ""),
        (thing("Service", spec={"type": "ClusterIP"}), thing("Service", spec={"type": "NodePort"}), "network", ""),
        (thing("Service", spec={"clusterIP": "10.0.0.1"}), thing("Service", spec={}), "network", ""),
        (thing("NetworkPolicy", spec={"podSelector": {}}), None, "network", ""),
        (thing("Ingress"), edited(thing("Ingress"), "metadata/annotations/a", "b"), "network", ""),
        (thing("Role", rules=[{"verbs": ["get"]}]), thing("Role", rules=[{"verbs": ["get", "list"]}]), "access", ""),
        (BOUND, BOUND | {"subjects": [{"name": "x"}, {"name": "y"}]}, "access", ""),
        (None, thing("ServiceAccount"), "access", ""),
        (deployment(), edited(deployment(), "spec/replicas", 2), "other", "go on"),
        (deployment(), edited(deployment(), "spec/strategy/type", "RollingUpdate"), "other", ""),
        (deployment(), edited(deployment(), "metadata/labels/team", "a"), "other", ""),
        (thing("Job", metadata=HOOK, spec={"template": {"a": 1}}), thing("Job", metadata=HOOK, spec={"template": {"a": 2}}), "other", "hook"),
        (thing("CustomResourceDefinition", spec={"a": 1}), thing("CustomResourceDefinition", spec={"a": 2}), "other", "by hand"),
        (thing("ConfigMap", data={"a": "1"}), None, "other", ""),
    ],
)
def test_each_change_has_its_consequence(old: dict | None, new: dict | None, consequence: str, note: str) -> None:
    (change,) = changes(old, new)
    assert (change.consequence, note in change.note) == (consequence, True), change


def test_a_stateful_sets_mutable_fields_are_not_refused() -> None:
    new = stateful_set(minReadySeconds=3, ordinals={"start": 1}, revisionHistoryLimit=2, updateStrategy={"type": "OnDelete"}, replicas=3)
    new["spec"]["persistentVolumeClaimRetentionPolicy"] = {"whenDeleted": "Retain"}
    assert {change.consequence for change in changes(stateful_set(), new)} == {"other"}


def test_another_kind_of_the_same_name_takes_its_place() -> None:
    """Helm matches by kind: it creates the one and deletes the other, which no API server refuses."""
    new = stateful_set() | {"apiVersion": "apps/v1", "metadata": {"name": "web"}}
    assert [(change.consequence, change.note) for change in changes(deployment(), new)] == [
        ("pods restart", "takes the place of the Deployment of that name"),
        ("pods restart", "gives way to the StatefulSet of that name"),
    ]


def environment(digest: str, name: str) -> list[dict]:
    config = thing("ConfigMap", metadata={"name": f"chat-webui-env-{digest}"}, data={"WEBUI_NAME": name})
    return [config, deployment(envFrom=[{"configMapRef": {"name": f"chat-webui-env-{digest}"}}])]


def test_a_changed_environment_is_one_change_that_restarts_who_loads_it() -> None:
    (change,) = changes(environment("0123456789", "a"), environment("abcdef0123", "b"))
    assert (change.consequence, change.object, change.path) == ("pods restart", "ConfigMap/chat-webui-env-*", "data.WEBUI_NAME")
    assert change.note.startswith("environment changed, which restarts Deployment/web")


def test_a_changed_hash_alone_restarts_as_well() -> None:
    (change,) = changes(environment("0123456789", "a"), environment("abcdef0123", "a"))
    assert (change.consequence, change.path, change.old, change.new) == (
        "pods restart",
        "metadata.name",
        "chat-webui-env-0123456789",
        "chat-webui-env-abcdef0123",
    )


def test_an_environment_that_changes_under_its_name_restarts_nothing() -> None:
    (change,) = changes(environment("0123456789", "a"), environment("0123456789", "b"))
    assert change.consequence == "other"
    assert change.note == "Deployment/web does not restart: its environment stays until it does, a mounted file follows"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([{"name": "a", "value": "1"}, {"name": "b"}], [{"name": "b"}, {"name": "a", "value": "1"}], [("x (order)", "a, b", "b, a")]),
        ([{"name": "a"}, {"name": "c"}], [{"name": "a"}, {"name": "b"}, {"name": "c"}], [("x[b]", None, {"name": "b"})]),
        ([{"name": "a", "value": "1"}], [{"name": "a", "value": "2"}], [("x[a].value", "1", "2")]),
        ([{"containerPort": 1, "p": 1}], [{"containerPort": 1, "p": 2}], [("x[1].p", 1, 2)]),
        (
            [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}],
            [{"name": "v", "mountPath": "/b"}],
            [("x[/a]", {"name": "v", "mountPath": "/a"}, None)],
        ),
        (["a", "b", "c"], ["a", "c"], [("x[1]", "b", None)]),
        (["a", "c"], ["a", "b", "c"], [("x[1]", None, "b")]),
        (["run", "--port", "1", "--on"], ["run", "--port", "2", "--on"], [("x[--port]", "1", "2")]),
        (["--port=1"], ["--port=1", "--on"], [("x[--on]", None, "given")]),
        (["--a", "1", "--b", "2"], ["--b", "2", "--a", "1"], [("x (order)", "--a, --b", "--b, --a")]),
        (["--s", "1", "--s", "2"], ["--s", "1", "--s", "3"], [("x[--s][1]", "2", "3")]),
        ([1], [True], [("x[0]", 1, True)]),
        ('{"a": {"b": 1}}', '{"a":{"b": 2}}', [("x » a.b", 1, 2)]),
        ('{"a": 1}', '{"a":1}', [("x", '{"a": 1}', '{"a":1}')]),
        ({"a/b": 1}, {"a/b": 2}, [("x[a/b]", 1, 2)]),
    ],
)
def test_lists_are_compared_by_name(old: object, new: object, expected: list) -> None:
    assert list(differences(old, new, "x")) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (deployment(), deployment(env=None)),
        (deployment(), deployment(args=[])),
        (deployment(resources={"limits": {"cpu": "1000m"}}), deployment(resources={"limits": {"cpu": 1}})),
        (deployment(), edited(deployment(), "metadata/namespace", "chat")),
        (deployment(), edited(deployment(), "metadata/annotations", {})),
        (deployment(), edited(deployment(), "metadata/labels/x", None)),
        (thing("ConfigMap"), thing("ConfigMap", data={})),
        (thing("Secret", stringData={"a": "1"}), thing("Secret", data={"a": "MQ=="})),
    ],
)
def test_what_is_the_same_to_kubernetes_is_no_change(old: dict, new: dict) -> None:
    assert changes(old, new) == []


def labelled(chart: str, version: str) -> dict:
    return thing("Service", metadata={"labels": {"helm.sh/chart": chart, "app.kubernetes.io/version": version}})


def test_noise_is_left_out_and_only_noise() -> None:
    assert changes(labelled("scout-chat-0.1.0", "1"), labelled("scout-chat-0.2.0-rc.1", "2")) == []
    assert len(changes(labelled("scout-chat-0.1.0", "1"), labelled("other-0.1.0", "1"))) == 1
    generated = [thing("Secret", metadata={"name": "chat-webui-secrets"}, data={"key": value}) for value in ("a", "b")]
    assert changes(*generated) == []
    assert len(changes(*generated, chart="vllm-stack")) == 1
    assert len(changes(generated[0], edited(generated[0], "data/more", "x"))) == 1
    assert all(noise.reason for noise in diff.NOISE)


HIDDEN = ["c2VjcmV0", "hunter2", "t0psecret", "s3cr3t", "pa55"]


def test_no_secret_value_is_in_a_report() -> None:
    env = [{"name": "OPENAI_API_KEY", "value": "hunter2"}, {"name": "URL", "value": "postgres://me:pa55@db/x"}]
    old = [
        thing("Secret", data={"a": "c2VjcmV0", "b": "c2VjcmV0"}, stringData={"c": '{"x": "t0psecret"}'}),
        deployment(env=[], args=["--api-key", "0"]),
    ]
    new = [
        thing("Secret", data={"a": "aHVudGVyMg==", "d": "c2VjcmV0"}, stringData={"c": '{"x": "s3cr3t"}'}),
        deployment(env=env, args=["--api-key", "t0psecret", "--auth-token=s3cr3t"]),
    ]
    found = changes(old, new)
    assert {change.path for change in found if change.consequence == "secret"} == {"data.a", "data.b", "data.c", "data.d"}
    report = Report("a", "b", ("s",), {change: ("s",) for change in found})
    for text in (terminal_text(report).plain, markdown_comment(report), html_page(report)):
        assert "OPENAI_API_KEY" in text and "(hidden)" in text
        assert not [value for value in [*HIDDEN, "aHVudGVyMg", "dDBwc2VjcmV0"] if value in text]


def report(*found: Change, **fields: object) -> Report:
    return Report("old", "new", ("s",), {change: ("s",) for change in found}, **fields)


def test_the_page_escapes_everything() -> None:
    evil = "<script>alert(1)</script>&\"'"
    found = Change("other", f"Kind/{evil}", f"path.{evil}", evil, f"{evil}\n{evil}", evil)
    more = [Change("other", "a/b", "c", before, after) for before, after in ((evil, "x"), (f"same {evil}", "same x"), (None, evil), (evil, None))]
    text = html_page(report(found, *more, added=(evil,), refusals=(Refusal(evil, "old", evil),)))
    text += html_page(Report(evil, evil, (evil,)))
    assert "<script" not in text and text.count("&lt;script&gt;") > 10
    assert "http:" not in text and "https:" not in text and "url(" not in text


def test_a_comment_stays_one_whatever_the_values_are() -> None:
    text = markdown_comment(report(Change("other", "Kind/`|`a", "data.x", "```\n</details>\n@somebody", "````\nb", "note `x`")))
    assert "\n`````diff\n" in text and text.count("\n</details>\n") == 1
    assert text.index("@somebody") > text.index("`````diff")


def test_a_long_comment_is_cut_and_says_where_the_rest_is() -> None:
    many = [Change("other", f"ConfigMap/{index}", "data.x", "a" * 300, "b" * 300, "") for index in range(500)]
    worst = Change("refused", "Deployment/web", "spec.selector", "a", "b")
    text = markdown_comment(report(worst, *many), "The page has all of them (diff.html).")
    assert 40_000 < len(text) <= COMMENT_CHARACTERS
    assert "Deployment/web" in text and "The page has all of them (diff.html)." in text.splitlines()[-1]
    assert text.count("<details>") == text.count("</details>") == 2


def test_a_terminal_is_not_steered() -> None:
    (change,) = changes(thing("ConfigMap", data={"a": "1"}), thing("ConfigMap", data={"a": "\x1b[2J\u202e"}))
    assert change.new == "\\x1b[2J\\x202e"


def test_nothing_changes() -> None:
    empty = report()
    assert all(NOTHING_CHANGES in text for text in (terminal_text(empty).plain, markdown_comment(empty), html_page(empty)))


def test_the_page_has_a_color_for_every_consequence() -> None:
    page = html_page(report(*(Change(name, "a/b", "c", "1", "2") for name in CONSEQUENCES)))
    for name in CONSEQUENCES:
        slug = name.replace(" ", "-")
        assert f'<section class="{slug}" id="{slug}">' in page and f".{slug} {{ --tone: var(--{slug}); }}" in page and page.count(f"--{slug}: #") == 2


def test_the_threshold_counts_what_is_worse() -> None:
    found = report(Change("engine reloads", "a/b", "c", "1", "2"))
    assert [name for name in CONSEQUENCES if found.at_least(name)] == ["engine reloads", "pods restart", "network", "access", "other"]


# With the real chart


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A copy of the chart, which nobody else changes meanwhile."""
    return Path(shutil.copytree(CHART, tmp_path / "old" / "scout-chat"))


def compared(chart: Path, sets: tuple[str, ...] = (), edit: tuple[str, str, str] = ("", "", ""), names: tuple[str, ...] = ("local", "external")) -> Report:
    """The chart against itself with values set, or a file of it edited."""
    new = chart.parent.with_name("new") / "scout-chat"
    shutil.copytree(chart, new)
    if edit[0]:
        text = (new / edit[0]).read_text()
        assert text.count(edit[1]) == 1
        (new / edit[0]).write_text(text.replace(edit[1], edit[2]))
    cases = {name: scenarios()[name] for name in names}
    after = {name: replace(case, sets=sets) for name, case in cases.items()}
    return diff.compare(Side("old", chart, cases), Side("new", new, after))


def objects(report: Report) -> dict[str, set[str]]:
    return {consequence: {item.object for item in found} for consequence, found in report.groups().items()}


@pytest.mark.charts
def test_an_image_tag_restarts_open_webui_and_nothing_else(chart: Path) -> None:
    report = compared(chart, ("open-webui.image.tag=9.9.9",))
    # The test that `helm test` runs takes the same image.
    assert objects(report) == {"pods restart": {"Deployment/chat-open-webui"}, "other": {"Pod/chat-test-chat"}}
    assert {change.path for change in report.changes} == {
        "spec.template.spec.containers[open-webui].image",
        "spec.template.spec.initContainers[copy-app-data].image",
        "spec.containers[chat].image",
    }
    assert set(report.changes.values()) == {("local", "external")}, "a change that both scenarios have is one"


@pytest.mark.charts
def test_another_context_length_reloads_the_engine(chart: Path) -> None:
    report = compared(chart, ("vllm-stack.servingEngineSpec.modelSpec[0].vllmConfig.maxModelLen=2048",), names=("local",))
    assert objects(report) == {"engine reloads": {"Deployment/chat-smollm2-135m-deployment-vllm"}}
    (change,) = report.changes
    assert (change.path, change.new) == ("spec.template.spec.containers[vllm].command[--max-model-len]", "2048")


@pytest.mark.charts
def test_an_engine_label_is_refused(chart: Path) -> None:
    report = compared(chart, ("vllm-stack.servingEngineSpec.labels.release=other",), names=("local",))
    assert "Deployment/chat-smollm2-135m-deployment-vllm" in objects(report)["refused"] & objects(report)["engine reloads"]


@pytest.mark.charts
def test_a_version_of_the_chart_alone_changes_nothing(chart: Path) -> None:
    report = compared(chart, edit=("Chart.yaml", "\nversion: ", "\nversion: 9"))
    assert report.changes == {} and report.scenarios == ("local", "external")


@pytest.mark.charts
def test_a_refusal_of_the_new_side_is_a_change_and_of_the_old_a_notice(chart: Path) -> None:
    report = compared(chart, ("global.llm.mode=nonsense",), names=("local",))
    assert [(change.consequence, change.object) for change in report.changes] == [("refused", "chart")]
    both = diff.compare(Side("a", chart, {"x": replace(scenarios()["local"], values=())}), Side("b", chart, {"x": scenarios()["local"]}))
    assert not both.changes and [refusal.side for refusal in both.refusals] == ["old"]
    assert "x renders now; a refused it: " in terminal_text(both).plain


@pytest.mark.charts
def test_a_revision_and_a_package_are_sides(chart: Path, tmp_path: Path) -> None:
    """HEAD with its own values, and a package with the working tree's."""
    (tmp_path / "head").mkdir()
    head = side("HEAD", tmp_path / "head")
    assert head.label.startswith("HEAD (") and "local" in head.scenarios
    assert all(Path(f"{value}.yaml").is_relative_to(tmp_path) for case in head.scenarios.values() for value in case.values)
    subprocess.run([tool("helm"), "package", str(chart), "--destination", str(tmp_path)], check=True, capture_output=True)
    (package,) = tmp_path.glob("*.tgz")
    (tmp_path / "packed").mkdir()
    packed = side(str(package), tmp_path / "packed")
    assert diff.compare(packed, Side("copy", chart, scenarios()), ["local"]).changes == {}


@pytest.mark.charts
def test_ones_own_values_are_rendered_and_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yml"
    mine.write_text("global: {chat: {name: Radiology}}\n")
    (tmp_path / "files").mkdir()
    monkeypatch.setattr(diff, "render_all", lambda *_: pytest.fail("this keeps renders"))
    monkeypatch.setattr(render, "_cached", lambda *_: pytest.fail("this keeps renders"))
    version = with_values(working_tree(), [PRESETS / "local.yaml", mine], tmp_path / "files")
    report = diff.compare(replace(version, scenarios={"local.yaml + mine.yml": replace(scenarios()["local"], extra="")}), version)
    assert [(change.path, change.new) for change in report.changes] == [("data.WEBUI_NAME", "Radiology")]


# What a user gets wrong


def message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["scout-chat", "diff", *arguments])
    with pytest.raises(SystemExit) as done:
        app.main()
    assert done.value.code == 1
    return capsys.readouterr().err


def package(tmp_path: Path, name: str) -> str:
    (tmp_path / name).mkdir()
    (tmp_path / name / "Chart.yaml").write_text("{name: scout-chat, version: 0.1.0, dependencies: [{name: vllm-stack}]}")
    with tarfile.open(tmp_path / f"{name}.tgz", "w:gz") as tar:
        tar.add(tmp_path / name, name)
    return str(tmp_path / f"{name}.tgz")


@pytest.mark.charts
def test_mistakes_are_one_message_each(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    (tmp_path / "text.tgz").write_text("no archive")
    assert message(monkeypatch, capsys, "no-such-branch").startswith("Error: there is no revision no-such-branch in this repository\n")
    assert message(monkeypatch, capsys, "--", "--output=x").startswith("Error: there is no revision --output=x")
    assert "Did you mean local" in message(monkeypatch, capsys, "--scenario", "locale")
    assert "Did you mean pods restart?" in message(monkeypatch, capsys, "--fail-on", "pod-restart")
    assert "do not go together" in message(monkeypatch, capsys, "--scenario", "local", "-f", "x.yaml")
    assert "there is no values file x.yaml" in message(monkeypatch, capsys, "-f", "x.yaml")
    assert "there is no file gone.tgz" in message(monkeypatch, capsys, "gone.tgz")
    assert "is no package of the chart scout-chat" in message(monkeypatch, capsys, str(tmp_path / "text.tgz"))
    assert "is no package of the chart scout-chat" in message(monkeypatch, capsys, package(tmp_path, "other"))
    assert "was packaged without vllm-stack" in message(monkeypatch, capsys, package(tmp_path, "scout-chat"))
    assert "cannot be written" in message(monkeypatch, capsys, "--scenario", "local", "--html", str(tmp_path / "no" / "x.html"))


def test_without_archives_one_message_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def missing(*_: object) -> None:
        raise archives.ChartsMissing("chart archives are missing", "Put them somewhere.")

    monkeypatch.setattr(archives, "vendor", missing)
    assert message(monkeypatch, capsys) == "Error: chart archives are missing\nPut them somewhere.\n"


@pytest.mark.charts
def test_a_revision_with_other_archives_that_are_not_to_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_cache: Path) -> None:
    pins = tmp_path / "pins.yaml"
    pins.write_text((ROOT / "schema/pins.yaml").read_text().replace("version: 16.0.0", "version: 15.9.9"))
    monkeypatch.setattr(sides, "tool", lambda name: "/bin/false")
    with pytest.raises(UserError, match=r"v1 pins open-webui-15\.9\.9\.tgz .* is not here and not in https://helm\.openwebui\.com"):
        sides._archives("v1", pins)
