"""Proves: the real scheduler places every preset's engines on the GPUs that the planner names and on no other, with the expected reason, and an
upgrade ends on a full node.

The nodes are fake (tests/support/gpu_nodes.py): their labels, taints and capacity are as NVIDIA's components write them, and kwok plays the
kubelets, so every pod is ready at once. The tests apply copies of the rendered Deployments, which select the fake nodes and tolerate their
taint; their PVCs have volumes of the tests. Does not prove that an engine starts on such a GPU, or that its memory is enough.
"""

import copy
import json
from collections.abc import Iterator
from functools import cache

import pytest
import yaml
from scout_chat.chart.render import Case, Object, render, render_all
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.provider import Provider
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import PRESETS
from scout_chat.presets.engine import engines as preset_engines
from scout_chat.presets.request import shipped

from tests.support.gpu_nodes import KINDS, POOL, PRESENT, bare_pod, gpus_of, node, pinned, with_terms
from tests.support.playground import AFFINITY, NO_GPU, UNTOLERATED, Listing, Playground, Verdict, complete, condition

pytestmark = pytest.mark.charts

NAMESPACE = "placement"
SHIPPED = sorted(str(path.relative_to(PRESETS).with_suffix("")) for path in PRESETS.rglob("*.yaml") if not {"overlays", "examples"} & set(path.parts))
ENGINE = "vllm-stack.servingEngineSpec.modelSpec[0]"
# The upstream chart renders this where no strategy is set (chart.engineStrategy).
SURGE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}


@pytest.fixture(scope="module")
def module_ground(provider: Provider, tmp_path_factory: pytest.TempPathFactory, api: object) -> Iterator[Playground]:
    kubectl = Kubectl(provider.kubeconfig(), NAMESPACE)

    # Left by an interrupted run.
    kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true")
    kubectl.run("delete", "node,pv", "-l", POOL)
    kubectl.run("create", "namespace", NAMESPACE)
    ground = Playground(kubectl, NAMESPACE, tmp_path_factory.mktemp("placement"))
    # Pods are refused until the ServiceAccount exists.
    assert Listing.of(ground.core.list_namespaced_service_account, namespace=NAMESPACE).until(lambda seen: "default" in seen)
    yield ground
    ground.core.delete_collection_node(label_selector=POOL)
    # Only events are left, whose deletion takes ten seconds.
    kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def ground(module_ground: Playground) -> Iterator[Playground]:
    yield module_ground
    module_ground.clear()


def case(preset: str, *sets: str, extra: KubeObject | None = None) -> Case:
    return Case(preset, (preset,), json.dumps(extra) if extra else "", sets)


def engines(objects: list[Object]) -> dict[str, KubeObject]:
    """Return the Deployments of engines that request GPUs, by the engine's name."""
    found = [item.body for item in objects if item.kind == "Deployment" and gpus_of(item.body)]
    return {body["metadata"]["labels"]["app.kubernetes.io/name"]: body for body in found}


def engine(preset: str, *sets: str) -> KubeObject:
    (body,) = engines(render(case(preset, *sets))).values()
    return body


def without_claims(workload: KubeObject) -> KubeObject:
    """Return the Deployment with an emptyDir in place of each PVC, for tests that are not about volumes."""
    body = copy.deepcopy(workload)
    for volume in body["spec"]["template"]["spec"]["volumes"]:
        if volume.pop("persistentVolumeClaim", None):
            volume["emptyDir"] = {}
    return body


def tolerating(workload: KubeObject, *tolerations: KubeObject) -> KubeObject:
    """Return the Deployment with these tolerations and no other."""
    body = copy.deepcopy(workload)
    body["spec"]["template"]["spec"]["tolerations"] = list(tolerations)
    return body


def one_verdict(ground: Playground, workload: KubeObject, pool: str, placed: bool = False) -> Verdict:
    """Return the decision for the Deployment's one pod on a pool. ``placed``: wait until it is placed; otherwise the first decision counts."""
    ground.apply(pinned(workload, pool))
    (verdict,) = ground.verdicts(1, {pool} if placed else ())
    return verdict


@cache
def planned(preset: str) -> dict[str, tuple[int, set[str]]]:
    """Return, for each engine of a preset that requests GPUs, their number and the kinds on which the planner says that it fits."""
    made = [engine for engine in preset_engines(shipped()[preset]) if engine.gpu]
    return {engine.name: (engine.plan.request.tensor_parallel, {placement.gpu.name for placement in engine.placements} & set(KINDS)) for engine in made}


PLANNED = [preset for preset in shipped() if planned(preset)]


def test_every_preset_is_planned() -> None:
    """Proves: the planner knows every values file that requests GPUs, with the same engines and GPUs, so the test below leaves none out."""
    cases = {preset: case(preset) for preset in SHIPPED}
    render_all(cases.values())
    asking = {preset: {name: gpus_of(body) for name, body in engines(render(cases[preset])).items()} for preset in SHIPPED}
    expected = {preset: {name: count for name, (count, _) in planned(preset).items()} for preset in PLANNED}
    assert {preset: found for preset, found in asking.items() if found} == expected


@pytest.mark.parametrize("preset", PLANNED)
def test_a_preset_goes_where_the_planner_says_and_nowhere_else(preset: str, ground: Playground) -> None:
    """Proves, for every engine and every kind of GPU, on a node with the number that the engine requests: it is placed where the planner says that it fits.
    Elsewhere the scheduler's reason is the node affinity. On a node with the right GPUs but one too few the reason is the GPUs."""
    objects = render(case(preset))
    found = engines(objects)
    ground.claims([item.body for item in objects if item.chart == "vllm-stack"], found.values())
    for name, (count, on) in planned(preset).items():
        enough = ground.kinds(count)
        fewer = {kind: pool for kind, pool in ground.kinds(count - 1).items() if kind in on} if count > 1 else {}
        fitting = {enough[kind] for kind in on}
        pools = [*enough.values(), *fewer.values()]
        one = copy.deepcopy(found[name])
        one["spec"]["replicas"] = 1
        ground.apply(*(pinned(one, pool, f"{name}-{pool}") for pool in pools))
        verdicts = {verdict.pool: verdict for verdict in ground.verdicts(len(pools), fitting)}
        print(f"{preset} | {name} x{count} |", " | ".join("placed" if verdicts[pool].node else "pending" for pool in enough.values()))
        assert {kind for kind, pool in enough.items() if verdicts[pool].node} == on, verdicts
        assert all(verdicts[pool].causes == {AFFINITY: 1} for kind, pool in enough.items() if kind not in on), verdicts
        assert all(verdicts[pool].causes == {NO_GPU: 1} for pool in fewer.values()), verdicts
        ground.stop()


def test_the_pool_selector_keeps_no_pod_away(ground: Playground) -> None:
    """Planted: without the preset's affinity, the engine for 80 GB is placed on every kind. So the preset's terms keep it Pending above."""
    pools = ground.kinds(1)
    body = with_terms(without_claims(engine("gpt-oss")))
    ground.apply(*(bare_pod(pinned(body, pool, pool)) for pool in pools.values()))
    assert {verdict.node for verdict in ground.verdicts(len(pools), pools.values())} == set(pools.values())


def memory(gib: str) -> list[tuple[str, str, str]]:
    return [("memory", "Gt", gib)]


def kinds(gb: int = 0, capability: str = "0.0") -> list[str]:
    """Return the kinds of GPU whose label exceeds the minimum for so many GB, with this compute capability or a higher one.

    That is every card of so many GB or more, and an H100 NVL (94 GB) among those of 96 GB.
    """
    return [name for name, gpu in KINDS.items() if gpu.labelMib > gb * 950 and gpu.at_least(capability)]


TERMS = {
    "the old role's 80: every GPU has more MiB": ([memory("80")], kinds()),
    "80 times 1024: no 80 GB card has more": ([memory("81920")], [name for name in kinds(gb=80) if KINDS[name].memory > 80]),
    "80 times 950": ([memory("76000")], kinds(gb=80)),
    **{f"{gpu.memory} GB by the catalog's rule": ([memory(str(gpu.memory * 950))], kinds(gpu.memory)) for gpu in KINDS.values()},
    "Ada and newer": ([[("compute.major", "Gt", "8")], [("compute.major", "In", "8"), ("compute.minor", "Gt", "8")]], kinds(capability="8.9")),
    "Hopper and newer": ([[("compute.major", "Gt", "8")]], kinds(capability="9.0")),
    "Ada and newer with 80 GB": (
        [[*memory("76000"), ("compute.major", "Gt", "8")], [*memory("76000"), ("compute.major", "In", "8"), ("compute.minor", "Gt", "8")]],
        kinds(80, "8.9"),
    ),
}


def test_what_terms_of_labels_mean_to_the_scheduler(ground: Playground) -> None:
    """Proves: nvidia.com/gpu.memory is MiB and ``Gt`` is strict, so the old role's 80 takes an L4 and 80 GiB refuses every 80 GB card (both planted), while
    950 MiB for each GB takes exactly the cards with as many GB or more; and terms over compute.major and compute.minor mean an architecture or newer."""
    # Every pod has a GPU of its own.
    pools = ground.kinds(len(TERMS))
    base = without_claims(engine("gpt-oss"))
    base["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": "1"}}
    pods, placed = [], set()
    for number, (terms, on) in enumerate(TERMS.values()):
        body = with_terms(base, *terms)
        pods += [bare_pod(pinned(body, pool, f"{kind}-{number}")) for kind, pool in pools.items()]
        placed |= {f"{kind}-{number}" for kind in on}
    ground.apply(*pods)
    taken = {verdict.pod for verdict in ground.verdicts(len(pods), placed) if verdict.node}
    found = {name: [kind for kind in KINDS if f"{kind}-{number}" in taken] for number, name in enumerate(TERMS)}
    assert found == {name: on for name, (_, on) in TERMS.items()}


def test_a_taint_that_the_preset_does_not_tolerate_is_the_reason(ground: Playground) -> None:
    """Proves: the reason is the taint. It is so for another taint than the GPUs', and (planted) for the GPUs' taint without the toleration."""
    ground.nodes(node("icu", KINDS["h100-80"], taints=(PRESENT, {"key": "dedicated", "value": "icu", "effect": "NoSchedule"})))
    body = without_claims(engine("gpt-oss"))
    assert one_verdict(ground, body, "icu").causes == {UNTOLERATED: 1}
    ground.stop()
    gpu, icu = {"key": "nvidia.com/gpu", "operator": "Exists"}, {"key": "dedicated", "value": "icu"}
    assert one_verdict(ground, tolerating(body, gpu, icu), "icu", placed=True).node == "icu"
    ground.stop()
    # The scheduler checks taints first, so this counts the nodes of every other test too.
    assert UNTOLERATED in one_verdict(ground, tolerating(body, icu), "icu").causes


def test_an_engine_waits_until_the_nodes_gpu_is_free(ground: Playground) -> None:
    """Proves: the reason is the GPU, and the waiting engine is placed when the other one is deleted."""
    ground.nodes(node("full", KINDS["h100-80"]))
    body = without_claims(engine("gpt-oss"))
    assert one_verdict(ground, body, "full", placed=True).node == "full"
    ground.apply(pinned(body, "full", "second"))
    assert [verdict.causes for verdict in ground.verdicts(2) if not verdict.node] == [{NO_GPU: 1}]
    ground.kubectl.run("delete", "deployment", body["metadata"]["name"])
    (verdict,) = ground.verdicts(1, ground.pools)
    assert verdict.node == "full"


def test_two_gpus_are_two_of_one_node(ground: Playground) -> None:
    """Proves: an engine over two GPUs stays Pending beside two nodes with one GPU each, for the GPUs, and goes to a node with two as soon as there is one."""
    body = without_claims(engine("gpt-oss", f"{ENGINE}.requestGPU=2", f"{ENGINE}.vllmConfig.tensorParallelSize=2"))
    ground.nodes(*(node(f"single-{number}", KINDS["h100-80"], pool="pair") for number in (1, 2)))
    assert one_verdict(ground, body, "pair").causes == {NO_GPU: 2}
    ground.nodes(node("double", KINDS["h100-80"], 2, pool="pair"))
    (verdict,) = ground.verdicts(1, ground.pools)
    assert verdict.node == "double"


def test_a_large_engine_takes_the_large_gpu_of_a_mixed_pool(ground: Playground) -> None:
    """Proves: of an L4 and an A100 with 80 GB the large preset takes the A100. A second engine waits for the A100 and does not take the L4."""
    ground.nodes(node("small", KINDS["l4"], pool="mixed"), node("large", KINDS["a100-80"], pool="mixed"))
    body = without_claims(engine("gpt-oss"))
    assert one_verdict(ground, body, "mixed", placed=True).node == "large"
    ground.apply(pinned(body, "mixed", "second"))
    assert [verdict.causes for verdict in ground.verdicts(2) if not verdict.node] == [{AFFINITY: 1, NO_GPU: 1}]


def test_an_engine_is_placed_on_a_node_without_labels(ground: Playground) -> None:
    """Proves: without GPU feature discovery the engine is placed, also (the risk) on a GPU that is too small. Without the preset's last term it
    stays Pending. It is never placed on a node without GPUs."""
    ground.nodes(node("unlabelled", KINDS["h100-80"], labelled=False), node("small", KINDS["l4"], labelled=False), node("plain", None))
    body = without_claims(engine("gpt-oss"))
    for pool in ("unlabelled", "small"):
        assert one_verdict(ground, body, pool, placed=True).node == pool
        ground.stop()
    assert one_verdict(ground, body, "plain").causes == {NO_GPU: 1}
    ground.stop()
    required = body["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert required["nodeSelectorTerms"].pop()["matchExpressions"][0]["operator"] == "DoesNotExist"
    assert one_verdict(ground, body, "unlabelled").causes == {AFFINITY: 1}


def test_an_upgrade_on_a_full_node_ends(ground: Playground) -> None:
    """Proves: as the chart renders it, with another image the old pod goes, then the new one gets its GPU, and the rollout is complete."""
    ground.nodes(node("only", KINDS["h100-80"]))
    before, after = (pinned(without_claims(engine("gpt-oss", *sets)), "only") for sets in ((), (f"{ENGINE}.tag=v0.32.1",)))
    name = before["metadata"]["name"]
    ground.apply(before)
    ground.rollout(name)
    pods = ground.pods()
    (old,) = pods.objects
    ground.apply(after)
    ground.rollout(name)
    assert pods.until(lambda seen: old not in seen and any(condition(pod, "Ready").get("status") == "True" for pod in seen.values()))
    (new,) = pods.objects.values()
    assert new["spec"]["containers"][0]["image"].endswith(":v0.32.1") and new["spec"]["nodeName"] == "only"
    gone = next(number for number, (kind, pod) in enumerate(pods.events) if kind == "DELETED" and pod["metadata"]["name"] == old)
    came = next(number for number, (_, pod) in enumerate(pods.events) if pod["metadata"]["name"] != old)
    assert gone < came


def test_upstreams_strategy_never_ends_on_a_full_node(ground: Playground) -> None:
    """Proves, planted: with a surge of 100 % and none unavailable the new pod waits for the GPU that the old one keeps, past the deadline. With Recreate in its
    place the same upgrade ends; with the surge it ends where a second GPU is free."""
    ground.nodes(node("only", KINDS["h100-80"]), node("spare", KINDS["h100-80"], 2))
    before, after = (without_claims(engine("gpt-oss", *sets)) for sets in ((), (f"{ENGINE}.tag=v0.32.1",)))
    recreate = before["spec"]["strategy"]
    for body in (before, after):
        body["spec"] |= {"strategy": SURGE, "progressDeadlineSeconds": 2}
    ground.apply(pinned(before, "only", "stuck"), pinned(before, "spare", "free"))
    for name in ("stuck", "free"):
        ground.rollout(name)
    ground.apply(pinned(after, "only", "stuck"), pinned(after, "spare", "free"))
    ground.rollout("free")
    stuck = ground.rollout("stuck", lambda item: condition(item, "Progressing").get("reason") == "ProgressDeadlineExceeded")
    assert condition(stuck, "Progressing")["status"] == "False" and condition(stuck, "Available")["status"] == "True"
    assert sorted((verdict.node, verdict.causes.get(NO_GPU)) for verdict in ground.verdicts(3) if verdict.pool == "only") == [("", 1), ("only", None)]
    ground.kubectl.run("patch", "deployment", "stuck", "--type=json", "-p", json.dumps([{"op": "replace", "path": "/spec/strategy", "value": recreate}]))
    assert complete(ground.rollout("stuck"))


def test_engines_of_a_release_spread(ground: Playground) -> None:
    """Proves: two models of one release, and two replicas of one engine, go to two nodes with one GPU each, and both to one node with two."""
    models = [
        yaml.safe_load((PRESETS / f"{preset}.yaml").read_text())["vllm-stack"]["servingEngineSpec"]["modelSpec"][0] for preset in ("gpt-oss-20b", "qwq-32b")
    ]
    release = case("gpt-oss-20b", extra={"vllm-stack": {"servingEngineSpec": {"modelSpec": models}}})
    two_models = [without_claims(body) for body in engines(render(release)).values()]
    two_replicas = [without_claims(engine("gpt-oss-20b", f"{ENGINE}.replicaCount=2"))]
    ground.nodes(*(node(f"single-{number}", KINDS["l40s"], pool="singles") for number in (1, 2)), node("double", KINDS["l40s"], 2))
    for workloads in (two_models, two_replicas):
        for pool, landed in (("singles", ["single-1", "single-2"]), ("double", ["double", "double"])):
            ground.apply(*(pinned(body, pool) for body in workloads))
            assert sorted(verdict.node for verdict in ground.verdicts(2, ground.pools)) == landed
            ground.stop()


def test_a_volume_of_one_node_keeps_replicas_together(ground: Playground) -> None:
    """Proves: two replicas share the engine's one claim; bound to a volume that lives on one node (a local path), the second replica is refused on the other
    node for the volume, however free its GPU is."""
    objects = render(case("gpt-oss-20b", f"{ENGINE}.replicaCount=2"))
    ground.nodes(*(node(f"single-{number}", KINDS["l40s"], pool="singles") for number in (1, 2)))
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["single-1"]}]}]
    ground.claims([item.body for item in objects if item.chart == "vllm-stack"], nodeAffinity={"required": {"nodeSelectorTerms": terms}})
    (body,) = engines(objects).values()
    ground.apply(pinned(body, "singles"))
    (first, second) = sorted(ground.verdicts(2), key=lambda verdict: not verdict.node)
    assert first.node == "single-1"
    assert second.causes[NO_GPU] == 1 and any("olume" in cause for cause in second.causes), second


def test_a_whole_release_leaves_the_gpu_node_to_its_engine(ground: Playground) -> None:
    """Proves: of a release's Deployments the engine alone goes to the tainted GPU node, and the chat and the router to a node without GPUs; without one they
    wait, for the taint. Planted: without the taint they take the GPU node."""
    objects = render(case("gpt-oss"))
    workloads = [item.body for item in objects if item.kind in ("Deployment", "StatefulSet")]
    assert len(workloads) == 3
    ground.apply(*(item.body for item in objects if item.kind in ("ServiceAccount", "ConfigMap", "Secret")))
    ground.claims(item.body for item in objects)
    ground.nodes(node("gpu", KINDS["h100-80"], pool="cluster"), node("plain", None, pool="cluster"), node("tainted", KINDS["h100-80"]))
    ground.apply(*(pinned(body, "cluster") for body in workloads))
    verdicts = ground.verdicts(3, ground.pools)
    assert sorted((verdict.node, "gpt-oss-120b" in verdict.pod) for verdict in verdicts) == [("gpu", True), ("plain", False), ("plain", False)]
    ground.stop()
    rest = [pinned(body, "tainted") for body in workloads if not gpus_of(body)]
    ground.apply(*rest)
    assert all(UNTOLERATED in verdict.causes for verdict in ground.verdicts(2))
    ground.kubectl.run("taint", "node", "tainted", "nvidia.com/gpu-")
    assert {verdict.node for verdict in ground.verdicts(2, ground.pools)} == {"tainted"}
