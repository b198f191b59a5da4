"""What fits on which GPU: the catalog of models and GPUs, vLLM's KV cache, plans, advice, and the comparison with real engines.
Imports core."""
