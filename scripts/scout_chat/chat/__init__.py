"""An installed chat: install it, wait until it is ready, diagnose its pods, and use it over the API or in a browser.
Imports cluster, chart and core."""
