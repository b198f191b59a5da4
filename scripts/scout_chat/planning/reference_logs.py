"""The planner against start-up logs that others published. The file is ``schema/catalog/reference-logs.yaml``."""

from pydantic import BaseModel, ConfigDict

from scout_chat.core import kubeyaml
from scout_chat.core.paths import ROOT
from scout_chat.planning import catalog
from scout_chat.planning.kv_cache import GIB, Cache

FILE = ROOT / "schema" / "catalog" / "reference-logs.yaml"


class Log(BaseModel):
    """One figure of a log. The fields are explained in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    what: str
    model: str
    source: str
    gives: str
    published: float
    kv_gib: float = 0
    blocks: int = 0
    context: int = 32768
    tensor_parallel: int = 1
    kv_dtype: str = "auto"
    batched: int = 2048
    batches: int = 2

    def predicted(self) -> float:
        """What the planner says instead."""
        model, _ = catalog.find(self.model)
        cache = Cache(model.architecture, self.tensor_parallel, self.kv_dtype, self.batched, batches_in_flight=self.batches)
        blocks, request = self.blocks or cache.blocks(int(self.kv_gib * GIB)), cache.blocks_per_request(self.context)
        figures = {
            "requests": lambda: round(blocks / request, 2),
            "tokens": lambda: int(blocks / request * self.context),
            "slots": lambda: blocks // cache.groups * 16,
            "blocks": lambda: blocks,
            "gib": lambda: round(request * cache.bytes_per_block / GIB, 2),
            "bytes": lambda: request * cache.bytes_per_block,
        }
        return figures[self.gives]()

    @property
    def error(self) -> float:
        """The difference in percent of what was published."""
        return 100 * (self.predicted() / self.published - 1)


def logs() -> list[Log]:
    """Every log, in the file's order."""
    return [Log.model_validate(body) for body in kubeyaml.load(FILE.read_text())]
