"""The Helm chart as files and as rendered objects: archives, renders, scenarios, snapshots, Kubernetes' own schemas.
Imports core."""
