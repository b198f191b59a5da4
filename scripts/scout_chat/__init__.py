"""scout-chat: a private chat (Open WebUI over the vLLM production-stack) as one Helm chart, with the harness that proves it."""

__version__ = "0.1.0"
