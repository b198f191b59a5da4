"""The result of a check, and its form for programs."""

from dataclasses import asdict, dataclass
from typing import Any

from scout_chat.check.engine import Engine
from scout_chat.check.fit import Fit
from scout_chat.check.needs import Requirement, Volume
from scout_chat.check.placement import Placement
from scout_chat.check.preset import Comparison
from scout_chat.planning import report as planning_report
from scout_chat.planning.catalog import Gpu
from scout_chat.review.normalize import hide_secrets, shown


@dataclass(frozen=True)
class Finding:
    """Something that would not work (``fails``), or that should be looked at. ``subject``: the values, or an engine."""

    subject: str
    message: str
    hint: str = ""
    fails: bool = True


@dataclass(frozen=True)
class JudgedEngine:
    """An engine with the nodes on which it may run (None: it needs no GPU), and its fits: on the ``chosen`` GPU, or on each that is admitted.

    ``unplanned``: why there are none.
    """

    engine: Engine
    placement: Placement | None
    fits: tuple[Fit, ...]
    unplanned: str = ""
    chosen: Gpu | None = None


@dataclass(frozen=True)
class Report:
    """What an install would do. If the chart refuses the values, only ``findings`` and ``comparison`` have content.

    ``mode``: global.llm.mode. ``images``: each with the objects that use it. ``comparison``: None if no preset is like the values.
    """

    files: tuple[str, ...]
    mode: str
    findings: tuple[Finding, ...] = ()
    engines: tuple[JudgedEngine, ...] = ()
    images: dict[str, list[str]] | None = None
    volumes: tuple[Volume, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    comparison: Comparison | None = None

    @property
    def refused(self) -> bool:
        return self.images is None

    @property
    def good(self) -> bool:
        """Whether nothing was found that would not work."""
        return not any(finding.fails for finding in self.findings)


def as_json(report: Report) -> dict[str, Any]:
    """Return the report for programs. The figures of a fit are those of ``scout-chat plan --json``."""
    return {
        "files": list(report.files),
        "good": report.good,
        "refused": report.refused,
        "mode": report.mode,
        "findings": [asdict(finding) for finding in report.findings],
        "engines": [_engine(judged) for judged in report.engines],
        "images": report.images or {},
        "volumes": [asdict(volume) for volume in report.volumes],
        "must_exist": [asdict(requirement) for requirement in report.requirements],
        "preset": report.comparison.preset if report.comparison else None,
        "changes": [asdict(changed) for changed in report.comparison.changes] if report.comparison else [],
    }


def _engine(judged: JudgedEngine) -> dict[str, Any]:
    engine, placement = judged.engine, judged.placement
    return {
        "name": engine.name,
        "model": engine.model_url,
        "image": engine.image,
        "vllm": engine.command.release or None,
        "arguments": [shown(word) for word in hide_secrets(engine.command.arguments)],
        "replicas": engine.replicas,
        "devices": engine.devices,
        "gpus": [gpu.name for gpu in placement.gpus] if placement else [],
        "nodes_without_gpu_labels": placement.unlabelled if placement else None,
        "node_conditions": list(placement.conditions) if placement else [],
        "not_planned": judged.unplanned or None,
        "fits": [_fit(fit) for fit in judged.fits],
    }


def _fit(fit: Fit) -> dict[str, Any]:
    return {
        "gpu": fit.gpu.name if fit.gpu else None,
        "starts": not fit.reason,
        "why_not": fit.reason or None,
        "chats": fit.chats,
        "plan": planning_report.as_json(fit.plan) if fit.plan else None,
    }
