"""The one exception that users see: no traceback, one message."""


class UserError(Exception):
    """A mistake or a condition that the user can mend.

    ``str(error)`` says what is wrong and where; ``hint`` says what to do about it.
    The CLI prints both and exits with status 1.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
