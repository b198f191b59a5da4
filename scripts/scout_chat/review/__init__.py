"""What a change of the chart does to a cluster: two renders compared, each change with its consequence.
Imports chart and core."""
