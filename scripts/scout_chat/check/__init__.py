"""What an install with a user's own values files would do: refusals, vLLM's arguments, the planner's fit, GPUs, images, volumes, what must exist.
Imports review, presets, planning, vllm, chart and core."""
