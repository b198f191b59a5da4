"""What contributors run on the repository itself: generated files and lint.
May import every room but cli."""
