"""Ask vLLM's own code how many KV cache blocks and requests a model gets. Runs with vLLM 0.32 or 0.33, without a GPU or weights.

    PYTHONPATH=[<source of 0.33>:]<CPU packages of 0.32> VLLM_TARGET_DEVICE=cpu python3.11 vllm_kv.py < questions.json > answers.json

or with the questions as the argument, zlib-compressed and in base64. Put questions with the same model, GPUs and data type in a row: the
model is then built once.

A question is {name, config, tensor_parallel, kv_dtype, max_num_batched_tokens, context, kv_bytes, device}, and may have kernel_block and
gdn_prefill: `config` is the checkpoint's config.json, `kv_bytes` the memory that one GPU has for the cache. The answer is {name, kv_blocks,
max_concurrency, bytes_per_block, blocks_per_request, block_size, max_in_flight_tokens, groups}, or {name, error} with vLLM's error message.

The script instantiates the model class on torch's meta device, as one rank of its tensor-parallel group, and asks the layers for their
cache specs. All arithmetic is vLLM's. With device "cpu" the platform is unchanged. With "cuda" this is as on a GPU:

* scheduling is asynchronous, blocks have 16 tokens by default, and the generic rule aligns hybrid models;
* attention kernels take multiples of `kernel_block` tokens (default 16: FLASH_ATTN, TRITON_ATTN; 64: FlashAttention 4 reading fp8 on
  Hopper), in every layout and data type of the cache;
* `gdn_prefill` is the kernel that computes the linear attention of a prompt (default triton; vLLM takes flashinfer on Hopper and Blackwell).
"""

import base64
import contextlib
import importlib.machinery
import json
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest import mock

os.environ |= {"HF_HUB_OFFLINE": "1", "VLLM_LOGGING_LEVEL": "CRITICAL", "VLLM_NO_USAGE_STATS": "1"}

import torch
from vllm.config import VllmConfig, set_current_vllm_config
from vllm.distributed import parallel_state
from vllm.distributed.kv_transfer.kv_connector.utils import get_current_attn_backends
from vllm.engine.arg_utils import EngineArgs
from vllm.model_executor.layers import fused_moe
from vllm.model_executor.layers.mamba.gdn import qwen_gdn_linear_attn
from vllm.model_executor.model_loader.utils import initialize_model
from vllm.model_executor.models import registry
from vllm.platforms.cpu import CpuPlatform
from vllm.platforms.interface import Platform
from vllm.utils.torch_utils import set_default_torch_dtype
from vllm.v1.attention.backend import MultipleOf
from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend
from vllm.v1.attention.backends.utils import get_supported_kv_cache_layouts, resolve_kv_cache_layout
from vllm.v1.core.kv_cache_utils import get_kv_cache_capacity
from vllm.v1.core.single_type_kv_cache_manager import register_all_kvcache_specs
from vllm.v1.kv_cache_interface import KVCacheConfig
from vllm.v1.worker.gpu.attn_utils import get_kv_cache_spec

try:
    # vLLM 0.33
    from vllm.v1.core.kv_cache_planning import _pool_bytes_per_block, get_global_kv_cache_groups, get_kv_cache_configs
except ImportError:
    # vLLM 0.32, which groups the layers in get_kv_cache_configs
    from vllm.v1.core.kv_cache_utils import _pool_bytes_per_block, get_kv_cache_configs

    get_global_kv_cache_groups = None

# Keys of config.json that are left out: the quantization of weights does not change the cache.
DROPPED = ("quantization_config", "compression_config")


class Vision(ModuleType):
    """Stands in for torchvision, which the runtime lacks. Classes that also take images import it; no image is read."""

    __path__ = ()

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return mock.MagicMock(name=name)


class VisionFinder(importlib.machinery.PathFinder):
    """Finds Vision for every import from torchvision."""

    @classmethod
    def find_spec(cls, fullname: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(fullname, cls, is_package=True) if fullname.split(".")[0] == "torchvision" else None

    @staticmethod
    def create_module(spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return Vision(spec.name)

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        pass


class Experts(torch.nn.Module):
    """Stands in for a mixture of experts: it has no cache, and the CPU lacks some of its kernels."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__()


def like_cuda(vllm_config: VllmConfig) -> None:
    """Do what CudaPlatform.check_and_update_config does for a text engine. The CPU's turns off asynchronous scheduling."""
    vllm_config.parallel_config.worker_cls = "vllm.v1.worker.gpu_worker.Worker"


@contextmanager
def platform(device: str, kernel_block: int, gdn_prefill: str) -> Iterator[None]:
    """Make the CPU platform answer as the device would."""
    if device == "cpu":
        yield
        return
    with (
        mock.patch.object(CpuPlatform, "check_and_update_config", staticmethod(like_cuda)),
        mock.patch.object(CpuPlatform, "update_block_size_for_backend", classmethod(Platform.update_block_size_for_backend.__func__)),
        mock.patch.object(CPUAttentionBackend, "get_supported_kernel_block_sizes", staticmethod(lambda kv_cache_spec=None: [MultipleOf(kernel_block)])),
        mock.patch.object(CPUAttentionBackend, "supported_kv_cache_layouts", classmethod(lambda cls: None)),
        mock.patch.object(CPUAttentionBackend, "supports_kv_cache_dtype", classmethod(lambda cls, kv_cache_dtype: True)),
        mock.patch.object(qwen_gdn_linear_attn, "_resolve_gdn_prefill_backend", lambda vllm_config: ("auto", gdn_prefill)),
    ):
        yield


@contextmanager
def one_rank_of(size: int) -> Iterator[None]:
    """Act as rank 0 of a tensor-parallel group of that size. Nothing is sent."""

    def group(world_size: int) -> SimpleNamespace:
        ranks = list(range(world_size))
        place = {"rank": 0, "rank_in_group": 0, "local_rank": 0, "is_first_rank": True, "is_last_rank": world_size == 1}
        process_group = SimpleNamespace(size=lambda: world_size, rank=lambda: 0)
        return SimpleNamespace(world_size=world_size, ranks=ranks, device_group=process_group, cpu_group=process_group, **place)

    single = {name: group(1) for name in ("_PP", "_DP", "_DCP", "_PCP")}
    with mock.patch.multiple(parallel_state, _TP=group(size), _WORLD=group(size), _EP=group(size), **single):
        yield


def engine_config(question: dict, folder: Path) -> VllmConfig:
    """Return vLLM's configuration for the question. ``folder`` gets the config.json."""
    config = {key: value for key, value in question["config"].items() if key not in DROPPED}
    (folder / "config.json").write_text(json.dumps(config))
    return EngineArgs(
        model=str(folder),
        skip_tokenizer_init=True,
        load_format="dummy",
        dtype="bfloat16",
        enforce_eager=True,
        tensor_parallel_size=question["tensor_parallel"],
        distributed_executor_backend="mp",
        max_model_len=question["context"],
        max_num_batched_tokens=question["max_num_batched_tokens"],
        max_num_seqs=16,
        kv_cache_dtype=question["kv_dtype"],
    ).create_engine_config()


def layers(vllm_config: VllmConfig) -> dict:
    """Build the model class and return the layers that it registers."""
    with torch.device("meta"), set_default_torch_dtype(vllm_config.model_config.dtype):
        initialize_model(vllm_config)
    return vllm_config.compilation_config.static_forward_context


def cache_config(vllm_config: VllmConfig, specs: list[dict], kv_bytes: int) -> KVCacheConfig:
    """Return the cache of the first rank. ``specs``: the layers' cache specs of each rank."""
    grouped = [get_global_kv_cache_groups(vllm_config, specs)] if get_global_kv_cache_groups else []
    return get_kv_cache_configs(vllm_config, specs, [kv_bytes] * len(specs), *grouped)[0]


def answer(question: dict, built: dict[str, dict]) -> dict:
    """Return the answer. ``built`` keeps the layers of the last model."""
    with tempfile.TemporaryDirectory() as folder, one_rank_of(question["tensor_parallel"]):
        vllm_config = engine_config(question, Path(folder))
        key = json.dumps([question.get(part) for part in ("config", "tensor_parallel", "kv_dtype", "device", "gdn_prefill")])
        if key not in built:
            built.clear()
            built[key] = layers(vllm_config)
        vllm_config.compilation_config.static_forward_context = built[key]
        CpuPlatform.update_block_size_for_backend(vllm_config)
        with set_current_vllm_config(vllm_config):
            register_all_kvcache_specs(vllm_config)
            specs = get_kv_cache_spec(vllm_config)
            layouts = [layout.name for layout in get_supported_kv_cache_layouts(get_current_attn_backends(vllm_config))]
            resolve_kv_cache_layout(vllm_config, [layouts], list(specs.values()))
            cache = cache_config(vllm_config, [specs] * question["tensor_parallel"], question["kv_bytes"])
            groups = cache.kv_cache_groups
            _, concurrency = get_kv_cache_capacity(vllm_config, cache)
            return {
                "name": question["name"],
                "kv_blocks": cache.num_blocks,
                "max_concurrency": concurrency,
                "bytes_per_block": _pool_bytes_per_block(vllm_config, groups),
                "blocks_per_request": round(cache.num_blocks / concurrency),
                "block_size": vllm_config.cache_config.block_size,
                "max_in_flight_tokens": vllm_config.max_in_flight_tokens,
                "groups": [[type(group.kv_cache_spec).__name__, len(group.layer_names), group.kv_cache_spec.block_size] for group in groups],
            }


def main() -> None:
    """Read the questions and print the answers."""
    text = zlib.decompress(base64.b64decode(sys.argv[1])) if len(sys.argv) > 1 else sys.stdin.read()
    answers, built = [], {}
    sys.meta_path.append(VisionFinder)
    # Model modules are imported when their class is first used, so all import this class.
    fused_moe.FusedMoEFactory = Experts
    # In this process. Each subprocess would import vLLM again.
    registry._run_in_subprocess = lambda look: look()
    for question in json.loads(text):
        try:
            device = platform(question["device"], question.get("kernel_block", 16), question.get("gdn_prefill", "triton"))
            with contextlib.redirect_stdout(sys.stderr), device:
                answers.append(answer(question, built))
        except ValueError as error:
            answers.append({"name": question["name"], "error": str(error)})
        except Exception as error:
            # Without a check of its own vLLM fails like this: gpt-oss on more GPUs than KV heads raises ZeroDivisionError.
            answers.append({"name": question["name"], "error": f"{type(error).__name__}: {error}"})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
