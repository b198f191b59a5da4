"""The chart's values: their schema, their reference documentation, their coverage, and invalid values with their messages.
Imports vllm, chart and core."""
