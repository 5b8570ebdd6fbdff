"""Where a piece of a program stands in its text, and messages that show the place.

A message reads

    walk.qprog:7:9: qubit `u3` is not declared. Did you mean `u2`?
        C_X[c1][u3];
                ^^
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from qdiff.errors import EvaluationError, ProgramError, QdiffError, QdiffSyntaxError

LONGEST_SHOWN_LINE = 160


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text: 1-based line and column, and how many characters it covers."""

    line: int
    column: int
    length: int = 1


@dataclass(frozen=True)
class Source:
    """A program's text and the name it is known by (a file name, or "<text>")."""

    name: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        # Only \n ends a line, as in the grammar: str.splitlines would also split at form feeds.
        return self.text.split("\n")

    def locate(self, message: str, position: Position | None, hint: str = "") -> str:
        """Return `message` with the place in front, the line and a caret below."""
        full = f"{message} {hint}".rstrip()
        if position is None:
            return f"{self.name}: {full}"
        head = f"{self.name}:{position.line}:{position.column}: {full}"
        if not 1 <= position.line <= len(self.lines):
            return head
        line = self.lines[position.line - 1].rstrip("\r").replace("\t", " ")
        start = position.column - 1
        # A line may be megabytes long: show a window around the place.
        left = max(0, start - LONGEST_SHOWN_LINE // 2)
        window = line[left : left + LONGEST_SHOWN_LINE]
        # Control characters would act on the terminal that shows the message.
        shown = "".join(c if c.isprintable() else "?" for c in window)
        indent = len(shown) - len(shown.lstrip())
        width = max(1, min(position.length, len(shown) - (start - left)))
        caret = " " * max(0, start - left - indent) + "^" * width
        return f"{head}\n    {shown[indent:].rstrip()}\n    {caret}"

    def syntax_error(self, message: str, position: Position, hint: str = "") -> QdiffSyntaxError:
        """Return the error for a text that is refused at `position`."""
        return QdiffSyntaxError(
            self.locate(message, position, hint), line=position.line, column=position.column, hint=hint
        )

    def evaluation_error(self, message: str, position: Position | None) -> EvaluationError:
        """Return the error for something that has no value when it runs."""
        return EvaluationError(self.locate(message, position))


def refusal(source: Source | None, message: str, position: Position | None, hint: str = "") -> QdiffError:
    """Return the error for a broken rule: with its place if the program came from a text."""
    if source is not None and position is not None:
        return source.syntax_error(message, position, hint)
    return ProgramError(f"{message} {hint}".rstrip())
