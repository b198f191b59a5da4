"""What contributors run on the repository itself: generated files, lint and the tiers of tests.
May import every room but cli."""
