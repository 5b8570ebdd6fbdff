"""What a command has to say: the same as a text for people and as one JSON object."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Report:
    """The result of a command.

    Attributes:
        text: for people.
        data: for programs: strings, numbers, lists and mappings.
    """

    text: str
    data: Mapping[str, Any]

    def json(self) -> str:
        """Return `data` as one JSON object; a number that is not finite is null."""
        return json.dumps(_finite(self.data), allow_nan=False)


def _finite(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return {key: _finite(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_finite(entry) for entry in value]
        case _:
            return value


def columns(rows: Iterable[tuple[str, str]]) -> str:
    """Return "name  text" lines, the texts below one another."""
    pairs = list(rows)
    width = max((len(name) for name, _ in pairs), default=0)
    return "\n".join(f"{name:<{width}}  {text}".rstrip() for name, text in pairs)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return lines of right-aligned columns under their names."""
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(f"{entry:>{width}}" for entry, width in zip(line, widths, strict=True)) for line in lines
    )
