"""Properties of every object of every scenario, one file each. A file has the rule, a test that it holds, and defects that it must find.

tests/waivers.yaml lists the accepted exceptions. None of these tests proves what a cluster adds: defaults, admission, quotas.
"""
