"""Node selector terms that admit the nodes with the right GPUs, by the labels of NVIDIA's GPU feature discovery."""

from collections.abc import Sequence

from scout_chat.core.kubeyaml import KubeObject
from scout_chat.planning import catalog
from scout_chat.planning.catalog import Gpu, version

# A nodeSelectorTerm as its list of matchExpressions.
Term = list[KubeObject]

# The label nvidia.com/gpu.memory must exceed so many MiB for each GB that the card is sold with. It is up to 6 % lower (23034 for 24 GB), and
# Gt is a strict comparison.
MIB_OF_A_GB = 950
# Nodes without the labels. Without this term every pod would stay Pending in a cluster that has no GPU feature discovery.
UNLABELLED: Term = [{"key": "nvidia.com/gpu.product", "operator": "DoesNotExist"}]


def node_selector_terms(gpus: Sequence[Gpu]) -> list[Term]:
    """Return the terms that admit nodes with these GPUs and no others of the catalog, and nodes without the labels.

    The terms demand a minimum of memory and compute capability if these two tell the GPUs apart from the others; otherwise they list the
    product names. They never use the label nvidia.com/gpu.family, which older releases of the feature discovery write wrongly.
    """
    smallest = min(gpu.memory for gpu in gpus)
    # Kernels differ between GPU families, so the minimum is the lowest capability of a family.
    for capability in catalog.family_capabilities():
        admitted, terms = minimum_terms(smallest, capability)
        if admitted == [gpu.name for gpu in catalog.gpus().values() if gpu in gpus]:
            return terms
    return product_terms([product for gpu in gpus for product in gpu.products])


def minimum_terms(memory: int, capability: str) -> tuple[list[str], list[Term]]:
    """Return the GPUs of the catalog with at least so many GB and this compute capability, and the terms that admit them."""
    least_mib = memory * MIB_OF_A_GB
    enough_memory = {"key": "nvidia.com/gpu.memory", "operator": "Gt", "values": [str(least_mib)]}
    # By the labels, as the scheduler compares them: a card of 94 GB passes the minimum for 96 GB too.
    admitted = [gpu.name for gpu in catalog.gpus().values() if gpu.labelMib > least_mib and gpu.at_least(capability)]
    return admitted, [*([enough_memory, *term] for term in _at_least(capability)), UNLABELLED]


def product_terms(products: list[str]) -> list[Term]:
    """Return the terms that admit nodes with GPUs of these product names."""
    return [[{"key": "nvidia.com/gpu.product", "operator": "In", "values": products}], UNLABELLED]


def _at_least(capability: str) -> list[Term]:
    """Return terms of which one holds on GPUs of this compute capability or a higher one. A term cannot express "or"; Gt is strict."""
    major, minor = version(capability)
    newer = [{"key": "nvidia.com/gpu.compute.major", "operator": "Gt", "values": [str(major if minor else major - 1)]}]
    if not minor:
        return [newer]
    same = {"key": "nvidia.com/gpu.compute.major", "operator": "In", "values": [str(major)]}
    return [newer, [same, {"key": "nvidia.com/gpu.compute.minor", "operator": "Gt", "values": [str(minor - 1)]}]]
