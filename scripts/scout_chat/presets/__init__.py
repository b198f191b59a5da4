"""Values files for models, planned and written to be read by a person.
Imports planning, vllm, chart and core."""
