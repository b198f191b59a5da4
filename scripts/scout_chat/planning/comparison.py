"""The planner's figures beside those of a running engine, or beside start-up logs that others published: ``scout-chat calibrate``."""

from dataclasses import dataclass

from rich.table import Column, Table

from scout_chat.core.errors import UserError
from scout_chat.planning import calibration, reference_logs
from scout_chat.planning.calibration import Figure
from scout_chat.planning.options import device
from scout_chat.planning.planner import BATCHED_TOKENS


@dataclass(frozen=True)
class Comparison:
    """Figures with a title, which is empty for the published logs."""

    title: str
    figures: list[Figure]

    def table(self) -> Table:
        """Return the figures with the planner's error in percent, for a terminal."""
        table = Table("figure", Column("planner", justify="right"), Column("engine", justify="right"), Column("error", justify="right"), box=None)
        for name, planned, reported in self.figures:
            digits = 0 if isinstance(planned, int) else 2
            error = f"{100 * (planned / reported - 1):+.2f} %" if reported else ""
            table.add_row(name, f"{planned:,.{digits}f}", "not said" if reported is None else f"{reported:,.{digits}f}", error)
        return table


def compare(
    source: str | None, published: bool = False, *, model: str = "", gpu: str = "", gpus: int = 1, max_num_batched_tokens: int = BATCHED_TOKENS
) -> Comparison:
    """Compare with the engine of ``source`` (a log, ``-`` or an address; see ``calibration.read``), or with the published logs.

    The options stand in for what the engine does not say. Raises UserError where both or neither are given, and for what cannot be compared.
    """
    if published == bool(source):
        raise UserError("calibrate needs one of a log, an engine's address, and --published", calibration.HOW)
    if not source:
        return Comparison("", [Figure(f"{log.what} ({log.gives})", log.predicted(), log.published) for log in reference_logs.logs()])
    engine = calibration.read(source)
    card, device_name = device(gpu)
    request = calibration.plan_request(engine, model, card, device_name, gpus, max_num_batched_tokens)
    release = f"vLLM {engine.version}" if engine.version else "vLLM of an unknown release"
    title = f"{request.model.title}, {request.context} tokens, {request.kv_gib:.2f} GiB of cache, {release}"
    return Comparison(title, calibration.comparison(engine, request))
