"""Proves: which GPUs of the catalog a pod's node affinity admits, by the labels of NVIDIA's GPU feature discovery.

The real scheduler places pods on fake nodes with these labels in tests/cluster/test_placement.py.
"""

from scout_chat.check.placement import labels, placement
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.planning import catalog

from tests.support.gpu_nodes import discovered


def pod(*terms: list[KubeObject], **spec: object) -> KubeObject:
    required = {"nodeSelectorTerms": [{"matchExpressions": term} for term in terms]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}, **spec} if terms else dict(spec)


def expression(key: str, operator: str, *values: str) -> KubeObject:
    return {"key": f"nvidia.com/gpu.{key}" if key != "pool" else key, "operator": operator, "values": list(values)}


def admitted(*terms: list[KubeObject], **spec: object) -> set[str]:
    return {gpu.name for gpu in placement(pod(*terms, **spec)).gpus}


def test_the_labels_are_those_of_gpu_feature_discovery() -> None:
    for gpu in catalog.gpus().values():
        first = next(labels(gpu))
        assert first.items() <= discovered(gpu, 1).items()


def test_expressions_hold_as_kubernetes_decides() -> None:
    gpus = catalog.gpus()
    hopper = {name for name, gpu in gpus.items() if gpu.capability == "9.0"}
    large = {name for name, gpu in gpus.items() if gpu.labelMib > 100000}
    is_hopper, is_large = expression("compute.major", "In", "9"), expression("memory", "Gt", "100000")
    assert hopper and large and hopper & large and not hopper <= large
    assert admitted([is_large]) == large and admitted([expression("memory", "Lt", "100000")]) == gpus.keys() - large
    assert admitted([is_hopper]) == hopper and admitted([expression("compute.major", "NotIn", "9")]) == gpus.keys() - hopper
    assert admitted([expression("product", "Exists")]) == gpus.keys() and admitted([expression("product", "DoesNotExist")]) == set()
    assert admitted([is_hopper, is_large]) == hopper & large
    assert admitted([is_hopper], [is_large]) == hopper | large
    assert admitted([expression("product", "In", gpus["a100-80"].products[-1])]) == {"a100-80"}, "one of the names of the product is enough"
    assert admitted() == gpus.keys()
    assert admitted(nodeSelector={"nvidia.com/gpu.compute.major": "9"}) == hopper
    assert admitted([]) == set(), "a term without expressions matches no node"
    assert admitted([expression("memory", "Gt", "much")]) == set()


def test_a_label_that_the_catalog_does_not_know_is_a_condition() -> None:
    pool, hopper, none = expression("pool", "In", "gpu"), expression("compute.major", "In", "9"), expression("compute.major", "In", "0")
    where = placement(pod([pool, hopper], [none, expression("pool", "Exists")]))
    assert {gpu.capability for gpu in where.gpus} == {"9.0"}
    assert where.conditions == ("pool In gpu",) and not where.unlabelled
    family = placement(pod([expression("family", "In", "hopper")]))
    assert len(family.gpus) == len(catalog.gpus()) and family.conditions == ("nvidia.com/gpu.family In hopper",), "some nodes have a wrong family"
    assert placement(pod(nodeName="node-1")).conditions == ("metadata.name In node-1",)
    assert placement(pod()).unlabelled and placement(pod([expression("product", "DoesNotExist")])).unlabelled
