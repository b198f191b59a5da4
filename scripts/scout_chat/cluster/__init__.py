"""A Kubernetes to install on: kind, or a one-node cluster of genuine components.
Imports images and core."""
