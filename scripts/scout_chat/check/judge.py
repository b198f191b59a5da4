"""Judge one engine: its arguments, the GPUs on which it may run and would start, and the size of its volume."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from math import ceil

from scout_chat.check.engine import Engine
from scout_chat.check.fit import Fit, fit, preset_command, unplanned
from scout_chat.check.needs import Volume
from scout_chat.check.placement import placement
from scout_chat.check.report import Finding, JudgedEngine
from scout_chat.planning.catalog import Gpu
from scout_chat.presets.engine import BESIDE_WEIGHTS_GIB, GIB_OF_A_GB
from scout_chat.review.tree import quantity


def judge(engine: Engine, gpu: Gpu | None, prefix: str) -> JudgedEngine:
    """Return the engine with its fits: on ``gpu``, or on every GPU of the catalog that its node affinity admits."""
    where = placement(engine.pod) if engine.devices else None
    if why := unplanned(engine):
        return JudgedEngine(engine, where, (), why, gpu)
    candidates: Sequence[Gpu | None] = [None] if where is None else [gpu] if gpu else where.gpus
    return JudgedEngine(engine, where, tuple(fit(engine, candidate, prefix) for candidate in candidates), chosen=gpu)


def findings(judged: JudgedEngine, prefix: str, volumes: Sequence[Volume]) -> Iterator[Finding]:
    """Yield what would not work with the engine, and what to look at."""
    engine = judged.engine
    subject = f"engine {engine.name}"
    for error in engine.errors:
        yield Finding(subject, error, "The engine would exit at once.")
    if engine.unchecked:
        yield Finding(subject, f"its arguments were not checked: {engine.unchecked}", fails=False)
    if judged.unplanned:
        yield Finding(subject, f"its fit was not computed: {judged.unplanned}", fails=False)
    if judged.chosen:
        yield from (Finding(subject, message, hint) for message, hint in _on(judged.chosen, judged, prefix))
    else:
        yield from (Finding(subject, message, hint, fails) for message, hint, fails in _anywhere(judged, prefix))
    yield from (Finding(subject, message, hint) for message, hint in _too_small(engine, volumes, prefix))


def _on(gpu: Gpu, judged: JudgedEngine, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong on the GPU that the user named, with a hint."""
    if judged.placement and gpu not in judged.placement.gpus:
        command = preset_command(judged.engine, gpu)
        yield (
            f"its node affinity does not admit nodes with {gpu.title}, so its pods would stay Pending",
            f"Set {prefix}.nodeSelectorTerms" + (f", or write a values file for this GPU: {command}" if command else "."),
        )
    # Without a plan the reason names the model and the GPU itself.
    yield from ((f"would not start on {gpu.title}: {fit.reason}" if fit.plan else fit.reason, fit.hint) for fit in judged.fits if fit.reason)


def _anywhere(judged: JudgedEngine, prefix: str) -> Iterator[tuple[str, str, bool]]:
    """Yield what is wrong on the nodes that the affinity admits, with a hint, and whether it fails in any case."""
    where, failing = judged.placement, [fit for fit in judged.fits if fit.reason]
    if where is None:
        yield from ((f"would not start: {fit.reason}", fit.hint, True) for fit in failing)
    elif not where.gpus:
        yield (
            "its node affinity admits no GPU of the catalog, so nobody knows where its pods may run",
            f"Compare {prefix}.nodeSelectorTerms with the labels of your nodes: kubectl get nodes --show-labels",
            False,
        )
    elif failing and len(failing) == len(judged.fits):
        last = max(failing, key=_memory)
        yield f"would start on no GPU that its node affinity admits ({_titles(failing)}): {last.reason}", last.hint, True
    elif failing:
        fitting = _titles([fit for fit in judged.fits if not fit.reason])
        yield (
            f"its pods may run on {_titles(failing)}, where it would not start",
            f"If the cluster has these GPUs, set {prefix}.nodeSelectorTerms so that only others match: {fitting}. Or name your GPU: --gpu NAME",
            False,
        )


def _memory(item: Fit) -> int:
    return item.gpu.memory if item.gpu else 0


def _titles(fits: Sequence[Fit]) -> str:
    return ", ".join(item.gpu.title for item in fits if item.gpu)


def _too_small(engine: Engine, volumes: Sequence[Volume], prefix: str) -> Iterator[tuple[str, str]]:
    """Yield each PVC that cannot hold the weights that the engine downloads, with a hint."""
    if not engine.model or engine.model_url.startswith("/"):
        return
    checkpoint = engine.model[1]
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in engine.pod.get("volumes") or [] if "persistentVolumeClaim" in volume]
    for volume in volumes:
        size = quantity(volume.size)
        if volume.name in claims and size is not None and size < Decimal(checkpoint.disk) * 10**9:
            enough = ceil(checkpoint.disk * GIB_OF_A_GB) + BESIDE_WEIGHTS_GIB
            yield (
                f"its PVC {volume.name} of {volume.size} cannot hold the {checkpoint.disk:g} GB of {checkpoint.id}",
                f"Set {prefix}.pvcStorage: {enough}Gi or more.",
            )
