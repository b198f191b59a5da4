"""Container images and Python runtimes for a node without a registry, assembled from package registries.
Imports core."""
