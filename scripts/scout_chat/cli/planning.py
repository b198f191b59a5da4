"""`scout-chat plan`, `preset` and `calibrate`: which model fits which GPUs, and the values file for it."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from scout_chat.cli import options
from scout_chat.cli.options import OUTPUT_PANEL, VLLM_PANEL, refuse_existing, save

WEIGHTS_PANEL = "Weights"


def plan(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help="A model of schema/catalog/models, the name of its repository on the Hugging Face Hub, or the path of a config.json."
        ),
    ] = None,
    gpu: options.Gpu = "",
    gpus: options.OptionalGpus = None,
    context: options.Context = None,
    concurrent_chats: options.ConcurrentChats = None,
    users: options.Users = None,
    all_models: Annotated[bool, typer.Option("--all", help="Rank every model of the catalog on the GPU, instead of planning one.")] = False,
    kv_dtype: options.KvDtype = "auto",
    kv_gib: Annotated[
        float | None,
        typer.Option(
            help="GiB that each GPU has left for the KV cache, if you know it. The figures that follow from it are exact.", rich_help_panel=VLLM_PANEL
        ),
    ] = None,
    tensor_parallel: Annotated[int | None, typer.Option(help="vLLM's name for --gpus.", rich_help_panel=VLLM_PANEL)] = None,
    max_num_batched_tokens: options.BatchedTokens = options.BATCHED_TOKENS,
    max_num_seqs: Annotated[
        int | None,
        typer.Option(help="vLLM's argument of that name: sequences processed in one step. By default twice the concurrent chats.", rich_help_panel=VLLM_PANEL),
    ] = None,
    utilization: Annotated[
        float | None, typer.Option(help="vLLM's --gpu-memory-utilization. By default 0.92, or 0.95 on one GPU if needed.", rich_help_panel=VLLM_PANEL)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=OUTPUT_PANEL)] = False,
    picture_file: Annotated[
        Path | None,
        typer.Option("--picture", help="Also draw concurrent chats against context for every GPU: PATH.svg or PATH.png.", rich_help_panel=OUTPUT_PANEL),
    ] = None,
    force: options.Force = False,
) -> None:
    """Show whether a model fits on your GPUs, and how many concurrent chats.

    Prints where the GPU memory goes and the number of chats for each context.
    If the model does not fit, prints the nearest options that would, and exits
    with status 1. docs/explain/planner.md explains which figures are estimates.

    Examples:

      scout-chat plan gpt-oss-120b --gpu a100-80
      scout-chat plan qwq-32b --gpu l40s --gpus 2 --context 32k
      scout-chat plan --all --gpu a100-80 --concurrent-chats 8
    """
    import json

    from rich.console import Console

    from scout_chat.core.errors import UserError
    from scout_chat.planning import picture, report
    from scout_chat.planning.options import PlanOptions
    from scout_chat.planning.planner import plan as plan_engine

    refuse_existing(force, {"--picture": picture_file})
    given = PlanOptions(
        model, gpu, gpus, tensor_parallel, context, concurrent_chats, kv_dtype, kv_gib, max_num_batched_tokens, max_num_seqs, utilization
    )  # fmt: skip
    if all_models:
        if picture_file:
            raise UserError("plan --all draws no picture", "Plan one model with --picture: scout-chat plan MODEL --gpu GPU --picture plan.svg")
        rows = given.rank()
        if as_json:
            print(json.dumps(report.ranking_as_json(rows), indent=1))
        else:
            Console(width=160).print(report.ranking(rows, concurrent_chats))
        return
    request = given.request()
    answer = plan_engine(request)
    print(json.dumps(report.as_json(answer), indent=1) if as_json else report.text(answer))
    if picture_file:
        picture.save(request, picture_file)
    raise typer.Exit(0 if answer.fits else 1)


def preset(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="Models of schema/catalog/models, or their repositories on the Hugging Face Hub. MODEL@GPU or MODEL@GPUxN gives a model its own GPUs.",
        ),
    ] = None,
    gpu: options.Gpu = "",
    gpus: options.Gpus = 1,
    context: options.Context = None,
    concurrent_chats: options.ConcurrentChats = None,
    users: options.Users = None,
    replicas: Annotated[int, typer.Option(help="Number of engines of each model.")] = 1,
    release: Annotated[str, typer.Option(help="Name of the Helm release. Names of Services begin with it.")] = "chat",
    kv_dtype: options.KvDtype = "auto",
    kv_gib: Annotated[int | None, typer.Option(help="With --gpu cpu: GiB of memory for the KV cache.", rich_help_panel=VLLM_PANEL)] = None,
    max_num_batched_tokens: options.BatchedTokens = options.BATCHED_TOKENS,
    weights: Annotated[
        str,
        typer.Option(
            help="Where the weights are, if not on the Hugging Face Hub: nfs://SERVER/PATH, claim:PVC, or /PATH/ON/THE/NODE.", rich_help_panel=WEIGHTS_PANEL
        ),
    ] = "",
    prefetch: Annotated[
        bool, typer.Option("--prefetch", help="Download and verify the weights before the engine starts.", rich_help_panel=WEIGHTS_PANEL)
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="The engine's volume already holds the weights; download nothing.", rich_help_panel=WEIGHTS_PANEL)
    ] = False,
    token_secret: Annotated[
        str, typer.Option(help="A Secret with your Hugging Face token (key: token), for gated models.", rich_help_panel=WEIGHTS_PANEL)
    ] = "",
    revision: Annotated[
        str,
        typer.Option(
            help="Commit, tag or branch of the repository, for example main. By default the commit that the catalog names.", rich_help_panel=WEIGHTS_PANEL
        ),
    ] = "",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file instead of the terminal.", rich_help_panel=OUTPUT_PANEL)] = None,
    force: options.Force = False,
) -> None:
    """Write a Helm values file for one or more models.

    Plans each model first, and refuses one that would not fit. Comments in the
    file explain each number and the GPUs that its node affinity accepts.

    Examples:

      scout-chat preset gpt-oss-120b --gpu a100-80 --gpus 2 -o model.yaml
      scout-chat preset gpt-oss-120b@a100-80 qwen36-27b@l40s -o models.yaml
      scout-chat preset gemma3-27b --gpu h100-80 --token-secret hf-token
    """
    from scout_chat.presets import writer
    from scout_chat.presets.request import PresetRequest

    refuse_existing(force, {"--output": output})
    request = PresetRequest(
        models=tuple(models or ()),
        gpu=gpu,
        gpus=gpus,
        context=context,
        concurrent_chats=concurrent_chats,
        kv_dtype=kv_dtype,
        kv_gib=kv_gib,
        max_num_batched_tokens=max_num_batched_tokens,
        replicas=replicas,
        weights=weights,
        prefetch=prefetch,
        offline=offline,
        token_secret=token_secret,
        revision=revision,
        release=release,
    )
    text = writer.write(request)
    if output:
        save(output, text)
        if output.is_file():
            typer.echo(f"written: {output}; next: scout-chat check -f {shlex.quote(str(output))}", err=True)
    else:
        print(text, end="")


def calibrate(
    source: Annotated[
        str | None, typer.Argument(metavar="LOG|URL", help="The start-up log of a vLLM engine (- for standard input), or its address: http://host:port.")
    ] = None,
    model: Annotated[str, typer.Option(help="The engine's model in the catalog, or a config.json, if the engine's own name for it is not known.")] = "",
    gpu: Annotated[str, typer.Option(metavar="NAME", help="The engine's GPU, to compare the estimates as well; cpu for an engine without one.")] = "",
    gpus: Annotated[int, typer.Option(help="Number of GPUs of the engine, if the engine does not say.")] = 1,
    max_num_batched_tokens: options.BatchedTokens = options.BATCHED_TOKENS,
    published: Annotated[bool, typer.Option("--published", help="Compare with the published logs in schema/catalog/reference-logs.yaml instead.")] = False,
) -> None:
    """Compare the planner's figures with those of a running vLLM engine.

    Reads the engine's start-up log or its metrics. With --gpu it also compares
    the estimates: the memory of the weights and what they leave for the cache.

    Examples:

      scout-chat calibrate engine.log --gpu a100-80
      scout-chat calibrate http://127.0.0.1:8000
      scout-chat calibrate --published
    """
    from rich.console import Console

    from scout_chat.planning.calibration import compare

    result = compare(source, published, model=model, gpu=gpu, gpus=gpus, max_num_batched_tokens=max_num_batched_tokens)
    if result.title:
        print(result.title)
    Console(width=120).print(result.table())
