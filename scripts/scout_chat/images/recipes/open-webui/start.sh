#!/bin/bash
# The package's own command, as the official image's script starts the server.
exec python3 -c 'from open_webui import app; app()' serve --host "${HOST:-0.0.0.0}" --port "${PORT:-8080}"
