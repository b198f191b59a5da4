"""What a change of the chart does to a cluster: compare two renders, give each change its consequence, and report.
Imports chart and core."""
