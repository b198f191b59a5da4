"""Values files for models: the request, the planned engines, their node affinity, and the templates that a person can read.
Imports planning, vllm and core."""
