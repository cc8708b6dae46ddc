"""The entry of the lrformer command: ``lrformer`` or ``python -m LRformerSlicerLib``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

from LRformerSlicerLib import __version__, command_line
from LRformerSlicerLib.errors import UserError, sentence_of
from LRformerSlicerLib.standard_streams import let_go_of_lost_readers, open_standard_streams, tell

INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """Reports a wrong argument in one sentence, as every other user error."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]}: see {self.prog} --help.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit code: 0, or 2 after an error (one sentence on stderr).

    A failure that nobody foresaw is one sentence, too; it names the log file that has the rest.
    """
    open_standard_streams()
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        tell("Stopped; nothing was written.", "stderr")
        return INTERRUPTED
    except Exception as error:
        tell(sentence_of(error)[0], "stderr")
        return UserError.exit_code
    finally:
        let_go_of_lost_readers()


def _run(argv: list[str]) -> int:
    parser = _Parser(prog="lrformer", description="Restore CT and MR volumes under a lesion-semantic prior.")
    parser.add_argument("--version", action="version", version=f"lrformer {__version__}")
    choices = parser.add_subparsers(dest="subcommand", metavar="SUBCOMMAND", required=True, parser_class=_Parser)
    parsers = {
        name: choices.add_parser(name, help=line, description=f"{line[:1].upper()}{line[1:]}.")
        for name, line in command_line.SUBCOMMANDS.items()
    }
    chosen = next((word for word in argv if not word.startswith("-")), None)
    module = None
    if chosen in parsers:
        # Only the chosen one: a subcommand whose imports fail must not take the others with it.
        module = importlib.import_module(f"LRformerSlicerLib.command_line.{chosen}")
        module.add_arguments(parsers[chosen])
    arguments = parser.parse_args(_join_negative_values(argv))
    return module.run(arguments) or 0


def _join_negative_values(argv: list[str]) -> list[str]:
    """``--roi -10,20,...`` as ``--roi=-10,20,...``: argparse takes a leading minus for another option."""
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] == "--roi":
            joined[-1] = f"--roi={word}"
        else:
            joined.append(word)
    return joined


if __name__ == "__main__":
    sys.exit(main())
