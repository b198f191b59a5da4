"""The GPUs of the catalog on whose nodes a pod may run, by its node affinity and the labels of NVIDIA's GPU feature discovery."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scout_chat.core.kubeyaml import KubeObject
from scout_chat.planning import catalog
from scout_chat.planning.catalog import Gpu

Labels = dict[str, str]
# The labels whose values the catalog knows. Any other may have any value, also gpu.family: older releases of the feature discovery write
# ampere for an RTX 4090.
KNOWN = tuple(f"nvidia.com/gpu.{name}" for name in ("product", "memory", "compute.major", "compute.minor"))


@dataclass(frozen=True)
class Placement:
    """Where the pods of an engine may run.

    ``gpus``: GPUs of the catalog. ``unlabelled``: also nodes without the labels of GPU feature discovery. ``conditions``: what the node
    must have beside its GPU, as far as the catalog does not know it.
    """

    gpus: tuple[Gpu, ...]
    unlabelled: bool
    conditions: tuple[str, ...]


def labels(gpu: Gpu) -> Iterator[Labels]:
    """Yield the labels of a node with this GPU, for each product name that GPU feature discovery may write."""
    major, minor = gpu.capability.split(".")
    for product in gpu.products:
        yield dict(zip(KNOWN, (product, str(gpu.labelMib), major, minor), strict=True))


def placement(pod: KubeObject) -> Placement:
    """Return where a pod with this spec may run."""
    terms = _terms(pod)
    gpus = tuple(gpu for gpu in catalog.gpus().values() if any(_admitting(terms, node) for node in labels(gpu)))
    admitting = [term for gpu in catalog.gpus().values() for node in labels(gpu) for term in _admitting(terms, node)] or _admitting(terms, {})
    conditions = {_words(expression): None for term in admitting for expression in term if _is_unknown(expression)}
    return Placement(gpus, bool(_admitting(terms, {})), tuple(conditions))


def _terms(pod: KubeObject) -> list[list[KubeObject]]:
    """Return the alternatives of the pod's node affinity, each with the expressions that must all hold; the nodeSelector is in each."""
    selected: list[KubeObject] = [{"key": key, "operator": "In", "values": [value]} for key, value in (pod.get("nodeSelector") or {}).items()]
    if pod.get("nodeName"):
        selected.append({"key": "metadata.name", "operator": "In", "values": [pod["nodeName"]]})
    node_affinity = (pod.get("affinity") or {}).get("nodeAffinity") or {}
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return [selected]
    terms = [[*(term.get("matchExpressions") or []), *(term.get("matchFields") or [])] for term in required.get("nodeSelectorTerms") or []]
    # A term without expressions matches no node.
    return [[*term, *selected] for term in terms if term]


def _admitting(terms: Iterable[list[KubeObject]], node: Labels) -> list[list[KubeObject]]:
    """Return the terms that may hold on a node with these labels. An empty list of labels is a node without GPU feature discovery."""
    return [term for term in terms if all(_is_unknown(expression) or _holds(expression, node) for expression in term)]


def _is_unknown(expression: KubeObject) -> bool:
    return expression["key"] not in KNOWN


def _holds(expression: KubeObject, node: Labels) -> bool:
    """Return whether the expression holds, as Kubernetes decides it."""
    have, values = node.get(expression["key"]), [str(value) for value in expression.get("values") or []]
    match expression["operator"]:
        case "In":
            return have in values
        case "NotIn":
            return have not in values
        case "Exists":
            return have is not None
        case "DoesNotExist":
            return have is None
    try:
        number, limit = int(have or ""), int(values[0])
    except (ValueError, IndexError):
        return False
    return number > limit if expression["operator"] == "Gt" else number < limit


def _words(expression: KubeObject) -> str:
    return " ".join([expression["key"], expression["operator"], *([", ".join(map(str, expression["values"]))] if expression.get("values") else [])])
