"""What a vLLM release accepts: recorded from the real release, and used to validate an engine's arguments.
Imports chart, images and core."""
