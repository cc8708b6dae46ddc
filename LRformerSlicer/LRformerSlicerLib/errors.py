"""The one exception that reaches a person as a plain sentence, and the sentence for every other one."""

from __future__ import annotations

import errno
import os
import tempfile
import traceback


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


NOT_ENOUGH_MEMORY = "There is not enough memory for this volume: close other programs or crop it, then try again."

_MEMORY_SIGNS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "bad_alloc",
                 "failed to allocate memory", "unable to allocate")  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that the device or the machine has no memory left, whoever raised it.

    torch and ITK have exceptions of their own for it, which are RuntimeErrors and told by their words.
    """
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        any(sign in text for sign in _MEMORY_SIGNS) or "allocate" in text and "memory" in text
    )


def known_failure(error: BaseException) -> str | None:
    """The sentence for a failure that is no bug, such as lack of memory or a missing package; None for others."""
    if isinstance(error, UserError):
        return error.message
    if is_out_of_memory(error):
        return NOT_ENOUGH_MEMORY
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("LRformerSlicerLib"):
        return f"The Python package {error.name} is missing: install the requirements."
    if isinstance(error, OSError) and error.filename is not None:
        name, reason = os.fsdecode(error.filename) if not isinstance(error.filename, int) else "", error.strerror
        if error.errno == errno.ENAMETOOLONG:
            name = f"{name[:60]}..."
        return f'"{name}" cannot be used ({reason}): choose another file or folder, or change its permissions.'
    return None


def unforeseen(error: BaseException) -> tuple[str, str]:
    """One sentence for an exception that nobody foresaw, and its traceback.

    The traceback is also written to a log file in the temporary folder, which the sentence names.
    """
    detail = "".join(traceback.format_exception(error))
    what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    sentence = f"This failed unexpectedly ({what}): please report it"
    try:
        descriptor, path = tempfile.mkstemp(prefix="lrformer-error-", suffix=".log")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as log:
            log.write(detail)
    except OSError:
        return f"{sentence}.", detail
    return f'{sentence} with the log file "{path}".', detail


def sentence_of(error: BaseException) -> tuple[str, str]:
    """The sentence for any exception, and the traceback of one that nobody foresaw (else empty)."""
    known = known_failure(error)
    return (known, "") if known is not None else unforeseen(error)
