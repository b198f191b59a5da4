"""The one exception that users see: a message and a hint, without a traceback."""


class UserError(Exception):
    """A mistake or a condition that the user can correct.

    ``str(error)`` says what is wrong and where; ``hint`` says what to do.
    The CLI prints both and exits with ``status``.
    """

    status = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
