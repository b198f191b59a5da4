"""A one-node Kubernetes on a Linux host, as root, without a container engine.
Imports the rest of cluster, images and core."""
