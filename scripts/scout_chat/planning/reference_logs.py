"""Start-up logs that others published, and what the planner computes instead. The file is ``schema/catalog/reference-logs.yaml``."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from scout_chat.core import kubeyaml
from scout_chat.core.paths import ROOT
from scout_chat.planning import lookup
from scout_chat.planning.kv_cache import GIB, Cache

FILE = ROOT / "schema" / "catalog" / "reference-logs.yaml"


class Log(BaseModel):
    """One figure of a log. The file explains the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    what: str
    model: str
    source: str
    gives: Literal["requests", "tokens", "slots", "blocks", "gib", "bytes"]
    published: float
    kv_gib: float = 0
    blocks: int = 0
    context: int = 32768
    tensor_parallel: int = 1
    kv_dtype: str = "auto"
    batched: int = 2048
    batches: int = 2

    def predicted(self) -> float:
        """Return the planner's figure."""
        model, _ = lookup.find_model(self.model)
        cache = Cache(model.architecture, self.tensor_parallel, self.kv_dtype, self.batched, batches_in_flight=self.batches)
        blocks = self.blocks or cache.blocks(int(self.kv_gib * GIB))
        request_blocks = cache.blocks_per_request(self.context)
        match self.gives:
            case "requests":
                return round(blocks / request_blocks, 2)
            case "tokens":
                return int(blocks / request_blocks * self.context)
            case "slots":
                return blocks // cache.groups * 16
            case "blocks":
                return blocks
            case "gib":
                return round(request_blocks * cache.bytes_per_block / GIB, 2)
            case "bytes":
                return request_blocks * cache.bytes_per_block

    @property
    def error(self) -> float:
        """The difference between predicted and published, in percent of the published figure."""
        return 100 * (self.predicted() / self.published - 1)


def logs() -> list[Log]:
    """Return every log, in the file's order."""
    return [Log.model_validate(body) for body in kubeyaml.load(FILE.read_text())]
