"""The command line: `qdiff check | show | run | value | grad | diff | train`.

A command does all its work before it prints: its status is 0 with a result on stdout, or 2 with one
message on stderr and nothing on stdout. Interrupted by Ctrl-C it ends quietly with 130.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import TextIO

from qdiff.errors import QdiffError

DONE = 0
REFUSED = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Args:
        argv: the words after `qdiff`; those of this process if None.
    """
    try:
        return _run(sys.argv[1:] if argv is None else list(argv))
    except BrokenPipeError:
        # Nobody reads stderr any more: there is no way to say so.
        _give_up(sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(argv: list[str]) -> int:
    from qdiff.cli.arguments import Told, parse

    try:
        arguments = parse(argv)
        from qdiff.cli.commands import COMMANDS

        report = COMMANDS[arguments.command](arguments)
    except Told as told:
        text = told.text
    except QdiffError as error:
        return _refuse(str(error))
    except MemoryError:
        return _refuse("There is not enough memory for this.")
    else:
        text = report.json() if arguments.json else report.text
    return _print(text)


def _print(text: str) -> int:
    if sys.stdout is None:  # closed by the caller
        return DONE
    try:
        print(_encodable(text, sys.stdout), end="" if text.endswith("\n") else "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads the output has seen enough of it, as in `qdiff show FILE | head`.
        _give_up(sys.stdout)
    except OSError as error:
        _give_up(sys.stdout)
        return _refuse(f"The output cannot be written: {error.strerror}.")
    return DONE


def _refuse(message: str) -> int:
    print(f"qdiff: error: {_printable(message)}", file=sys.stderr)
    return REFUSED


def _printable(message: str) -> str:
    """What was typed may hold anything: escape what would act on a terminal, keep the lines."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in message)


def _encodable(text: str, stream: TextIO) -> str:
    """Replace the characters that a stream's encoding lacks, such as ± in ASCII."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def _give_up(stream: TextIO) -> None:
    """Let Python's own flush at exit go nowhere rather than fail again."""
    try:
        descriptor = stream.fileno()
    except (AttributeError, io.UnsupportedOperation):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
