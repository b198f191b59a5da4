"""Proves: ``scout-chat check`` judges values files by the real chart, the record of vLLM and the planner; each mistake of a user is one message.

It does not prove what a cluster has: nodes, Secrets, quotas.
"""

import json
import re
from pathlib import Path

import pytest
from scout_chat.chart import render as rendering
from scout_chat.chart.render import Object, render
from scout_chat.chart.scenarios import scenario, scenarios
from scout_chat.check import fit as fitting
from scout_chat.check import needs, run
from scout_chat.check.report import Report, as_json
from scout_chat.core import kubeyaml
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import PRESETS, ROOT
from scout_chat.core.pins import pins
from scout_chat.planning import catalog
from scout_chat.presets.engine import engines
from scout_chat.presets.request import shipped
from scout_chat.vllm import arguments
from scout_chat.vllm.release import recorded

from tests.support.commands import Command
from tests.support.values_files import Write, preset_with

GPT_OSS = PRESETS / "gpt-oss.yaml"
# The scenarios that install values/examples.
EXAMPLES = [name for name, case in scenarios().items() if any(file.startswith("examples/") for file in case.values)]
RELEASE = pins().engine.gpu.release


@pytest.fixture(autouse=True)
def kept_renders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the renders of these tests, which the command does not."""
    monkeypatch.setattr(run, "render", lambda case, chart, cached: render(case, chart))


def problems(report: Report) -> list[str]:
    return [finding.message for finding in report.findings if finding.fails]


def warnings(report: Report) -> list[str]:
    return [finding.message for finding in report.findings if not finding.fails]


# Good values


@pytest.mark.charts
@pytest.mark.parametrize("name", shipped())
def test_a_shipped_preset_is_good_and_has_the_presets_figures(name: str) -> None:
    """The GPUs that the node affinity admits are those that the preset was planned for, with the same cache and the same chats."""
    report = run.check([PRESETS / f"{name}.yaml"])
    assert report.findings == ()
    assert report.comparison and (report.comparison.preset, report.comparison.changes) == (name, ())
    for judged, planned in zip(report.engines, engines(shipped()[name]), strict=True):
        plans = [placement.plan for placement in planned.placements] or [planned.plan]
        wanted = [(plan.request.gpu, plan.concurrent_chats, plan.kv_gib) for plan in plans]
        assert [(item.gpu, item.chats, item.plan and item.plan.kv_gib) for item in judged.fits] == wanted


@pytest.mark.charts
def test_an_installation_with_an_identity_provider_is_good_and_lists_its_secrets(command: Command) -> None:
    status, output = command("check", "-f", str(GPT_OSS), "-f", str(PRESETS / "examples/hospital.yaml"), "--gpu", "h100-80")
    assert status == 0
    must_exist = output.partition("Must exist before the install\n")[2].partition("\n\n")[0]
    assert [line.split(maxsplit=1) for line in must_exist.splitlines()] == [
        ["IngressClass", "nginx"],
        ["RuntimeClass", "nvidia"],
        ["Secret", "chat-admin (key admin-password)"],
        ["Secret", "chat-key (key secret-key)"],
        ["Secret", "chat-oidc (key client-secret)"],
        ["Secret", "chat-tls"],
        ["Secret", "llm-key (key api-key)"],
    ]
    assert 'global.chat.auth.oidc.issuer: "" → https://keycloak.example.org/realms/hospital\n' in output
    assert "networkPolicy.enabled: false → true\n" in output


@pytest.mark.charts
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_good(name: str) -> None:
    report = run.check([PRESETS / f"{file}.yaml" for file in scenarios()[name].values])
    assert report.findings == () and report.comparison


@pytest.mark.charts
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_secrets_that_an_example_tells_to_create_are_those_that_must_exist(name: str) -> None:
    """With the keys that the pods read. A certificate's Secret is created from its files."""
    files = [PRESETS / f"{file}.yaml" for file in scenarios()[name].values]
    created = set(re.findall(r"create secret generic ([\w-]+) --from-literal=([\w-]+)=", files[-1].read_text()))
    needed = {(item.name, key) for item in run.check(files).requirements if item.kind == "Secret" for key in item.keys}
    assert created <= needed


@pytest.mark.charts
def test_an_endpoint_of_somebody_else_has_no_engine(command: Command) -> None:
    status, output = command("check", "-f", str(PRESETS / "external.yaml"))
    assert status == 0
    assert "No engines: global.llm.mode is external.\n" in output and "chat-open-webui  10Gi" in output


# Values that would not work


@pytest.mark.charts
def test_a_model_that_does_not_fit_on_the_gpu_is_a_problem_with_what_would_fit(mine: Write, command: Command) -> None:
    anywhere = mine(engine={"nodeSelectorTerms": None})
    status, output = command("check", "-f", str(GPT_OSS), "-f", str(anywhere), "--gpu", "l40s")
    assert status == 1
    assert re.search(r"1 problem\n\n✗ engine gpt-oss-120b: would not start on NVIDIA L40S: the weights \(.* GiB\) and the reserve \(2.0\) do not fit", output)
    assert re.search(r"Would fit: engine.tensorParallelSize: 2, .*on NVIDIA A100 80 GB", output)


@pytest.mark.charts
@pytest.mark.parametrize(
    ("name", "gpu", "command_line"),
    [
        ("gpt-oss", "l40s", "scout-chat preset gpt-oss-120b --gpu l40s --gpus 2"),
        ("variants/gpt-oss-two-gpus", "l40s", "scout-chat preset gpt-oss-120b --gpu l40s --gpus 2"),
        ("variants/gpt-oss-two-gpus", "l4", "scout-chat preset gpt-oss-120b --gpu l4 --gpus 4"),
        ("glm45-air", "l4", "scout-chat preset glm45-air --gpu l4 --gpus 8"),
    ],
)
def test_the_preset_that_is_suggested_for_another_gpu_fits(name: str, gpu: str, command_line: str, command: Command) -> None:
    """With the engine's number of GPUs, or the next that fits."""
    hint = run.check([PRESETS / f"{name}.yaml"], [gpu]).findings[0].hint
    assert hint.partition(" for this GPU: ")[2] == command_line
    assert command(*command_line.split()[1:])[0] == 0


@pytest.mark.charts
def test_no_preset_is_suggested_for_a_model_that_is_not_in_the_catalog(mine: Write) -> None:
    assert run.check([preset_with(mine, modelURL="acme/own")], ["l4"]).findings[0].hint == "Set engine.nodeSelectorTerms."


@pytest.mark.charts
@pytest.mark.parametrize(
    ("auth", "warned"),
    [({"allowed": ["user"]}, True), ({"allowed": ["user"], "admin": ["admin"]}, False), ({}, False)],
)
def test_a_sign_in_that_makes_nobody_an_administrator_is_a_warning(auth: KubeObject, warned: bool, mine: Write) -> None:
    oidc = {"issuer": "https://keycloak.example.org/realms/hospital", "clientId": "open-webui", "existingSecret": "chat-oidc", "roles": auth}
    report = run.check([PRESETS / "external.yaml", mine(**{"global": {"chat": {"url": "https://chat.example.org", "auth": {"oidc": oidc}}}})])
    assert problems(report) == []
    assert [message.partition(",")[0] for message in warnings(report)] == ["roles.admin is empty"] * warned


@pytest.mark.charts
def test_what_would_fit_does(mine: Write) -> None:
    """The suggested settings, as values, make the engine fit."""
    terms = {"nodeSelectorTerms": None}
    before = run.check([GPT_OSS, mine(engine=terms)], ["l40s"])
    (finding,) = [finding for finding in before.findings if finding.fails]
    suggested = dict(re.findall(r"engine\.(\w+): ([\d.]+)", finding.hint))
    assert suggested
    after = run.check([GPT_OSS, mine(engine=terms | {key: kubeyaml.load(value) for key, value in suggested.items()})], ["l40s"])
    assert problems(after) == [] and after.engines[0].fits[0].chats > 0


@pytest.mark.charts
def test_an_unknown_argument_is_refused_by_the_chart_and_a_wrong_value_by_the_record(mine: Write) -> None:
    refused = run.check([GPT_OSS, mine(engine={"extraArgs": ["--max-model-length", "4096"]})])
    (message,) = problems(refused)
    assert refused.refused and "--max-model-length, which is not an argument of vLLM" in message
    wrong = run.check([GPT_OSS, mine(engine={"extraArgs": ["--seed", "x"]})])
    assert problems(wrong) == ["--seed is 'x', which is not an integer"]
    unknown = run.check([preset_with(mine, tag="v0.1.0"), mine(engine={"extraArgs": ["--seed", "x"]})])
    assert (problems(unknown), warnings(unknown)) == ([], ["its arguments were not checked: vLLM v0.1.0 is not recorded"])
    untagged = run.check([preset_with(mine, tag="nightly-abc")])
    assert warnings(untagged) == ["its arguments were not checked: the tag of vllm/vllm-openai:nightly-abc names no release of vLLM"]


@pytest.mark.charts
def test_a_refusal_is_the_charts_message_and_the_status_1(mine: Write, command: Command) -> None:
    file = mine(engine={"kvCacheDtype": "fp9"}, nope=1)
    status, output = command("check", "-f", str(GPT_OSS), "-f", str(file))
    assert status == 1
    assert "✗ the chart refuses the values: - at '/engine/kvCacheDtype': value must be one of" in output
    assert "\n  - at '': additional properties 'nope' not allowed\n\nNothing else can be checked" in output
    assert "engine.kvCacheDtype: not set → fp9" in output, "what differs helps to find the mistake"


@pytest.mark.charts
def test_a_cache_type_without_a_kernel_names_vllms_argument(mine: Write) -> None:
    report = run.check([GPT_OSS, mine(engine={"kvCacheDtype": "fp8"})], ["a100-80"])
    (finding,) = report.findings
    assert finding.message.startswith("gpt-oss-120b with an fp8 KV cache does not start on NVIDIA A100 80 GB")
    assert finding.hint.startswith("Omit --kv-cache-dtype fp8, or use one of these GPUs: ")


@pytest.mark.charts
def test_more_sequences_than_blocks_of_state_do_not_start(mine: Write) -> None:
    file = mine(engine={"maxNumSeqs": 256, "nodeSelectorTerms": None})
    (message,) = problems(run.check([PRESETS / "qwen36-27b.yaml", file], ["l40s"]))
    assert re.match(r"would not start on NVIDIA L40S: --max-num-seqs is 256, but the KV cache has \d+ blocks", message)


@pytest.mark.charts
def test_a_volume_smaller_than_the_weights_is_a_problem(mine: Write) -> None:
    report = run.check([GPT_OSS, mine(engine={"pvcStorage": "50Gi"})])
    assert problems(report) == ["its PVC chat-gpt-oss-120b-storage-claim of 50Gi cannot hold the 65 GB of openai/gpt-oss-120b"]
    assert problems(run.check([PRESETS / "variants/gpt-oss-nfs.yaml", mine(engine={"pvcStorage": "10Gi"})])) == [], "the weights are elsewhere"


# The engine as it is rendered


@pytest.mark.charts
def test_settings_are_read_as_they_are_rendered(mine: Write) -> None:
    """Those of `engine`, those of one engine, and arguments in any of vLLM's spellings."""
    both = {"maxNumSeqs": 4, "gpuMemoryUtilization": 0.9}
    single = {"maxModelLen": "16384", "tensorParallelSize": 2, "kvCacheDtype": "fp8_e4m3", "extraArgs": ["--max_num_batched_tokens=4K"]}
    report = run.check([PRESETS / "variants/two-models.yaml", mine(engine=both, engines={"gpt-oss-120b": single})], ["gpt-oss-120b=h200"])
    first, second = (judged.fits[0].plan for judged in report.engines)
    assert first and second
    request = first.request
    assert (request.context, request.tensor_parallel, request.kv_dtype, request.max_num_batched_tokens) == (16384, 2, "fp8", 4096)
    assert (request.max_num_seqs, request.utilization, request.gpu) == (4, 0.9, catalog.gpus()["h200"])
    assert (second.request.max_num_seqs, second.request.context, second.request.tensor_parallel) == (4, 32768, 1)


@pytest.mark.charts
def test_a_missing_argument_has_vllms_default(mine: Write) -> None:
    """1024 sequences on an H100 take 5.6 GiB more than 256 do (docs/explain/planner.md)."""
    least = {"tensorParallelSize": 1, "enablePrefixCaching": True, "extraArgs": ["--served-model-name", "gpt-oss-120b"]}
    report = run.check([preset_with(mine, vllmConfig=least)])
    requests = {item.gpu.name: item.plan.request for item in report.engines[0].fits if item.gpu and item.plan}
    assert {(name, request.max_num_seqs, request.max_num_batched_tokens) for name, request in requests.items()} >= {
        ("a100-80", 256, 2048), ("h100-80", 1024, 8192), ("b200", 1024, 16384),
    }  # fmt: skip
    assert {(request.context, request.utilization) for request in requests.values()} == {(131072, 0.92)}


def test_arguments_are_read_as_vllm_reads_them() -> None:
    words = ["acme/model", "--max-model-len", "128k", "--gpu_memory_utilization", "0.9", "-tp", "2", "--max-num-b=8K", "--ignore-patterns", "a", "b"]
    assert arguments.values([*words, "--seed", "x", "--no-such", "--no-enable-prefix-caching", "--enforce-eager"], RELEASE) == {
        "model_tag": "acme/model", "max_model_len": 128000, "gpu_memory_utilization": 0.9, "tensor_parallel_size": 2,
        "max_num_batched_tokens": 8192, "ignore_patterns": ["a", "b"], "enforce_eager": True,
    }  # fmt: skip
    assert arguments.values(["acme/model", "--max-model-len"], RELEASE) == {}, "argparse stops there"


@pytest.mark.charts
@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"modelURL": "acme/gpt-oss-120b"}, "acme/gpt-oss-120b is not in the catalog (schema/catalog/models)"),
        ({"requestGPUType": "nvidia.com/mig-3g.40gb"}, "it requests nvidia.com/mig-3g.40gb, and the planner knows only whole GPUs of NVIDIA (nvidia.com/gpu)"),
    ],
)
def test_an_engine_that_the_planner_cannot_judge_is_a_warning_and_no_guess(entry: KubeObject, why: str, mine: Write) -> None:
    report = run.check([preset_with(mine, **entry)], ["l4"] if "requestGPUType" in entry else [])
    assert f"its fit was not computed: {why}" in warnings(report)
    assert report.engines[0].fits == ()


@pytest.mark.charts
@pytest.mark.parametrize("line", ["--pipeline-parallel-size 2", "--kv-cache-memory-bytes 5g", "--max-model-l auto", "--dtype float32", "--block-size 32"])
def test_arguments_that_the_planner_does_not_compute_are_a_warning(line: str, mine: Write) -> None:
    report = run.check([GPT_OSS, mine(engine={"extraArgs": line.split()})])
    (message,) = warnings(report)
    assert message.startswith("its fit was not computed: the planner does not compute --") and problems(report) == []


def test_every_argument_that_the_planner_does_not_compute_is_one_of_vllm() -> None:
    assert {f"--{name.replace('_', '-')}" for name in fitting.NOT_PLANNED} - recorded(RELEASE).arguments.keys() == set()


@pytest.mark.charts
def test_an_engine_on_cpus_has_the_cache_of_its_variable(mine: Write) -> None:
    """The same model as in values/local.yaml, with twice the cache."""
    one, two = (run.check([PRESETS / "local.yaml", mine(engine={"env": [{"name": "VLLM_CPU_KVCACHE_SPACE", "value": gib}]})]) for gib in "12")
    assert two.engines[0].fits[0].chats >= 2 * one.engines[0].fits[0].chats > 0
    assert two.engines[0].placement is None


# Nodes


def expression(key: str, operator: str, *values: str) -> KubeObject:
    return {"key": f"nvidia.com/gpu.{key}", "operator": operator, "values": list(values)}


@pytest.mark.charts
def test_gpus_that_are_too_small_are_a_warning_and_a_problem_if_no_other_is_admitted(mine: Write) -> None:
    def check(*terms: KubeObject) -> Report:
        return run.check([GPT_OSS, mine(engine={"nodeSelectorTerms": [{"matchExpressions": list(terms)}] if terms else None})])

    (message,) = warnings(check())
    assert re.match("its pods may run on NVIDIA L4, .*, where it would not start", message) and problems(check()) == []
    (message,) = problems(check(expression("memory", "Lt", "50000")))
    assert re.match(r"would start on no GPU that its node affinity admits \(NVIDIA L4, .*\): the weights", message)
    (message,) = warnings(check(expression("product", "In", "NVIDIA-A100-SXM4-80G")))
    assert message.startswith("its node affinity admits no GPU of the catalog")


@pytest.mark.charts
def test_a_gpu_that_the_node_affinity_excludes_is_a_problem(mine: Write) -> None:
    terms = [{"matchExpressions": [expression("product", "In", "NVIDIA-L4")]}]
    (message,) = problems(run.check([PRESETS / "gpt-oss-20b.yaml", mine(engine={"nodeSelectorTerms": terms})], ["h200"]))
    assert message == "its node affinity does not admit nodes with NVIDIA H200, so its pods would stay Pending"


# What an install takes


@pytest.mark.charts
def test_images_volumes_and_what_must_exist(mine: Write) -> None:
    report = run.check([GPT_OSS, mine(**kubeyaml.load(scenario("gpt-oss-site").extra))])
    assert report.images and all(image.startswith("registry.example.org/mirror/") for image in report.images)
    assert report.images[f"registry.example.org/mirror/vllm/vllm-openai:{RELEASE}"] == ["Deployment/chat-gpt-oss-120b-deployment-vllm"]
    assert needs.Volume("chat-gpt-oss-120b-storage-claim", "300Gi", "fast", ("ReadWriteOnce",), True) in report.volumes
    assert {(item.kind, item.name) for item in report.requirements} == {
        ("StorageClass", "fast"), ("ConfigMap", "site-ca"), ("Secret", "registry"), ("Secret", "more"), ("PriorityClass", "services"),
    }  # fmt: skip


@pytest.mark.charts
@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("existing-claim", ("PersistentVolumeClaim", "models")),
        ("nfs", ("NFS export", "nfs.example.org:/models")),
        ("host-path", ("folder on each node", "/srv/models")),
    ],
)
def test_weights_from_elsewhere_must_exist(name: str, needed: tuple[str, str]) -> None:
    report = run.check([PRESETS / f"variants/gpt-oss-{name}.yaml"])
    assert [(item.kind, item.name) for item in report.requirements] == [needed]
    assert [volume.name for volume in report.volumes] == ["chat-open-webui"]


def test_the_volumes_of_a_stateful_set_are_named_and_kept() -> None:
    template = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    body = {"kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {"volumeClaimTemplates": [template], "template": {"spec": {}}}}
    assert needs.volumes([Object("scout-chat", body)]) == [needs.Volume("data-db-0", "1Gi", "", ("ReadWriteOnce",), True)]


@pytest.mark.charts
def test_a_users_values_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "render", render)
    monkeypatch.setattr(rendering, "_cached", lambda *_: pytest.fail("this keeps a render"))
    assert run.check([PRESETS / "external.yaml"]).good


# For programs, and several engines


@pytest.mark.charts
def test_the_json_has_findings_figures_and_lists(command: Command) -> None:
    status, output = command("check", "-f", str(GPT_OSS), "--gpu", "l40s", "--json")
    report = json.loads(output)
    assert status == 1 and (report["good"], report["refused"], report["preset"], report["changes"]) == (False, False, "gpt-oss", [])
    assert {finding["fails"] for finding in report["findings"]} == {True}
    (engine,) = report["engines"]
    assert (engine["name"], engine["model"], engine["vllm"], engine["devices"]) == ("gpt-oss-120b", "openai/gpt-oss-120b", RELEASE, {"nvidia.com/gpu": "1"})
    (item,) = engine["fits"]
    assert (item["gpu"], item["starts"], item["chats"], item["plan"]["bottleneck"]) == ("l40s", False, 0, "weights")
    assert "a100-80" in engine["gpus"] and report["volumes"][0]["kept"] and f"vllm/vllm-openai:{RELEASE}" in report["images"]


@pytest.mark.charts
def test_a_secret_among_the_arguments_is_not_in_the_json(mine: Write) -> None:
    report = run.check([GPT_OSS, mine(engine={"extraArgs": ["--hf-token", "hf_abc"]})])
    words = as_json(report)["engines"][0]["arguments"]
    assert words[words.index("--hf-token") + 1] == "(hidden)" and words[:2] == ["openai/gpt-oss-120b", "--host"]


@pytest.mark.charts
def test_two_engines_take_two_gpus_or_one_for_both() -> None:
    file = PRESETS / "variants/two-models.yaml"
    each = run.check([file], ["gpt-oss-120b=h200", "qwen36-27b=l40s"])
    assert [[item.gpu.name for item in judged.fits if item.gpu] for judged in each.engines] == [["h200"], ["l40s"]]
    assert problems(each) == []
    both = run.check([file], ["l40s"])
    assert {finding.subject for finding in both.findings} == {"engine gpt-oss-120b"}
    one = run.check([file], ["gpt-oss-120b=h200"])
    assert [len(judged.fits) == 1 for judged in one.engines] == [True, False]
    assert "Set engines.gpt-oss-120b.nodeSelectorTerms" in both.findings[0].hint


# What a user gets wrong

FILES: dict[str, tuple[bytes, str]] = {
    "list.yaml": (b"- a\n- b\n", "list.yaml is a list, not a map of values"),
    "text.yaml": (b"hello", "text.yaml is a single value, not a map of values"),
    "manifest.yaml": (b"apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n", "manifest.yaml is a Kubernetes object (Pod), not a values file"),
    "binary.yaml": (b"\x00\x01\xff\xfe", "binary.yaml is not a text file in UTF-8"),
    "control.yaml": (b"a: \x00\n", "control.yaml is not a text file in UTF-8"),
    "broken.yaml": (b"a: [1\nb: 2\n", "broken.yaml, line 2: did not find expected ',' or ']'"),
    "tab.yaml": (b"a:\n\tb: 1\n", "tab.yaml, line 2: found character that cannot start any token"),
    "twice.yaml": (b"a: 1\na: 2\n", "twice.yaml: duplicate keys: a, line 1"),
    "two.yaml": (b"a: 1\n---\nb: 2\n", "two.yaml, line 2: a second YAML document begins"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_values_file_is_one_message_and_status_2(name: str, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    content, message = FILES[name]
    (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    status, output = command("check", "-f", str(GPT_OSS), "-f", name)
    error, hint = output.splitlines()
    assert (status, error) == (2, f"Error: {message}") and hint


def test_a_missing_file_and_no_file_are_one_message(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("check", "-f", "gpt-oss.yaml") == (2, "Error: there is no values file gpt-oss.yaml\nDid you mean values/gpt-oss.yaml?\n")
    assert command("check", "-f", "nowhere.yaml")[0] == 2
    (tmp_path / "own.yaml").touch()
    assert command("check", "-f", "own.yml") == (2, "Error: there is no values file own.yml\nDid you mean own.yaml?\n")
    expected = "Error: own.yaml: each values file has -f before it\nscout-chat check -f own.yaml -f b.yaml\n"
    assert command("check", "own.yaml", "b.yaml") == (2, expected)
    assert command("check", "-f", str(tmp_path))[1].startswith(f"Error: {tmp_path} is a folder, not a values file\n")
    assert command("check") == (2, "Error: check needs a values file\nFor example: scout-chat check -f values/gpt-oss.yaml -f mine.yaml\n")


@pytest.mark.charts
@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("gpt-oss --gpu h199", "there is no GPU 'h199' in the catalog", "Nearest: "),
        ("gpt-oss --gpu l4 --gpu h200", "--gpu h200: the GPU is given twice", "Two engines on two GPUs: --gpu ENGINE=NAME --gpu ENGINE=NAME"),
        ("variants/two-models --gpu gpt=l4", "--gpu gpt=l4: no engine of that name requests a GPU", "Engines: gpt-oss-120b, qwen36-27b"),
        ("external --gpu l4", "--gpu has no effect: no engine of these values requests a GPU", "Omit --gpu."),
        ("local --gpu l4", "--gpu has no effect: no engine of these values requests a GPU", "Omit --gpu."),
    ],
)
def test_a_wrong_gpu_is_one_message_and_status_2(line: str, message: str, hint: str, command: Command) -> None:
    name, *options = line.split()
    status, output = command("check", "-f", str(PRESETS / f"{name}.yaml"), *options)
    assert status == 2
    error, shown_hint = output.splitlines()
    assert error == f"Error: {message}" and shown_hint.startswith(hint)


# The document

SHOWN = re.findall(r"^```console\n\$ \.venv/bin/scout-chat (check .*)\n([^`]*)^```$", (ROOT / "docs/explain/planner.md").read_text(), re.MULTILINE)


@pytest.mark.charts
@pytest.mark.parametrize(("line", "expected"), SHOWN, ids=[line for line, _ in SHOWN])
def test_the_documented_output_is_the_commands(line: str, expected: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the document's mine.yaml. A line of dots at the end stands for the rest."""
    (values,) = re.findall(r"Take this `mine.yaml`:\n\n```yaml\n(.*?)^```", (ROOT / "docs/explain/planner.md").read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "mine.yaml").write_text(values)
    (tmp_path / "values").symlink_to(PRESETS)
    monkeypatch.chdir(tmp_path)
    output = command(*line.split())[1]
    shown_part, dots, _ = expected.partition("...\n")
    assert output.startswith(shown_part) and (dots or output == expected)


def test_the_document_shows_a_good_and_a_failing_file() -> None:
    assert len(SHOWN) == 2
