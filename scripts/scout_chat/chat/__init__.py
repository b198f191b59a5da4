"""An installed chat: install it, wait until it is ready, diagnose what stops it, and use it as a person does.
Imports cluster, chart and core."""
