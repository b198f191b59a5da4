"""Helpers of both tiers of tests: rendered objects and rules about them, charts, engines, clusters and test servers.

Fixtures are in the nearest conftest.py. Nothing here is a test, and nothing here imports a test.
"""
