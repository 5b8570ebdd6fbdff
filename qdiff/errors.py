"""Every error that qdiff raises on purpose: where, what, and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class QdiffError(Exception):
    """Base of every error raised on purpose. Its text is meant to be read by the user.

    Attributes:
        advice: how the text ends where it sends the user elsewhere; "" where it does not.
    """

    advice: str = ""

    def __init__(self, text: str = "", *, advice: str = "") -> None:
        super().__init__(text + advice)
        if advice:
            self.advice = advice

    @property
    def problem(self) -> str:
        """The text without the advice, for those who follow it already."""
        return str(self).removesuffix(self.advice) + "." if self.advice else str(self)

    def __reduce__(self) -> tuple[Callable[..., QdiffError], tuple[object, ...]]:
        """Errors come back from workers whole: an exception would be rebuilt from its message only."""
        return _rebuilt, (type(self), self.args, self.__dict__)


class QdiffSyntaxError(QdiffError):
    """A text that is not a program (or an observable, or a number).

    Attributes:
        line, column: 1-based position of the offending text.
        hint: what to do about it, or "" where nothing can be suggested.
    """

    def __init__(self, message: str, *, line: int, column: int, hint: str = "") -> None:
        super().__init__(message)
        self.line = line
        self.column = column
        self.hint = hint


class ProgramError(QdiffError):
    """A program tree that breaks a rule of the language (built by code, so without a position)."""


class ParameterError(QdiffError):
    """Parameter values that are missing, unknown, not finite, of the wrong size, or not trainable."""


class EvaluationError(QdiffError):
    """Something that has no value when it runs: a division by zero, an index out of range."""


class BatchError(EvaluationError):
    """A batch in which some rows have no value; the results of the others are not lost.

    Attributes:
        values: (B, …), NaN in the bad rows.
        gradients: (B, …, d), NaN in the bad rows; None where no derivatives were asked for.
        errors: row → what is wrong with it, rows counted from 0.
    """

    def __init__(
        self,
        message: str,
        *,
        values: NDArray[np.float64],
        gradients: NDArray[np.float64] | None,
        errors: Mapping[int, QdiffError],
    ) -> None:
        super().__init__(message)
        self.values = values
        self.gradients = gradients
        self.errors = errors


class ResourceError(QdiffError):
    """Work that would not fit in memory or within a stated limit; raised before it is begun."""


class BackendError(QdiffError):
    """A backend that cannot do what was asked of it."""


class ExecutorError(QdiffError):
    """An executor that takes no tasks, or whose workers die again and again."""


class TrainingError(QdiffError):
    """A training run that cannot start, resume or go on."""


def _rebuilt(
    kind: type[QdiffError], args: tuple[object, ...], attributes: Mapping[str, object]
) -> QdiffError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "Did you mean `x`?" for the known name nearest to `name`, or "" if none is near."""
    names = list(known)
    same_letters = [other for other in names if other.lower() == name.lower()]
    near = same_letters or difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"Did you mean `{near[0]}`?" if near else ""


def listed(names: Iterable[str], limit: int = 12) -> str:
    """Join names for a message: "a, b, c", the rest counted once there are more than `limit`."""
    every = list(names)
    if not every:
        return "none"
    shown = ", ".join(every[:limit])
    return shown if len(every) <= limit else f"{shown} and {len(every) - limit} more"


def shown(value: object) -> str:
    """Return text for what was given, cut short where it is a number of hundreds of digits."""
    try:
        text = repr(value)
    except ValueError:  # of thousands, which Python does not write
        return "an integer of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."
