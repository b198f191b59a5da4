"""The chart's values: their schema, their reference documentation, their coverage, and invalid values with their messages.
Imports chart and core."""
