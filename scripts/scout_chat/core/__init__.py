"""What every room uses: errors, paths, pins, progress, YAML as Kubernetes reads it, and command-line tools.
Imports no other room."""
