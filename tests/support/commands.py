"""Types and checks for tests of the command line. The fixture ``command`` is in tests/static/conftest.py."""

from collections.abc import Callable

# Runs a command line in this process. Returns its exit status, and what it printed to both streams.
Command = Callable[..., tuple[int, str]]


def assert_one_message(command: Command, line: str, words: tuple[str, ...]) -> None:
    """Assert that the command fails with status 1, no traceback, and these words."""
    status, output = command(*line.split())
    assert status == 1
    assert "Traceback" not in output
    for word in words:
        assert word in output
