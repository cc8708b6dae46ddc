"""The one exception that reaches a person as a plain sentence."""


class UserError(Exception):
    """Something only the user can put right: an input, a path, a setting.

    The message is one sentence that says what is wrong and what to do; it is shown as it is, on stderr by
    the command line (which then ends with `exit_code`) and in a message box by the module. Whoever raises it
    has written nothing.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
