"""What fits on which GPU: the catalog of models and GPUs, vLLM's KV cache arithmetic, and the comparison with real engines.
Imports core and chart."""
