"""Where a program comes from, if not from a text of this language: what it was called there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qdiff.errors import ParameterError

_ELEMENT = re.compile(r"(.*)\[(\d+)\]", re.DOTALL)


@dataclass(frozen=True)
class Origin:
    """A circuit, or a text of another language.

    Attributes:
        what: for messages, such as "the circuit `ansatz`".
        aliases: names there that are others here.
        measured_last: qubits that are measured at the end, with nothing behind it.
    """

    what: str
    aliases: Mapping[str, str] = field(default_factory=dict)
    measured_last: frozenset[str] = frozenset()

    def name(self, key: object) -> object:
        """The name here of what has a name there, or of a `Parameter` or symbol; anything else as it is."""
        if not isinstance(key, str):
            if type(key).__module__.partition(".")[0] not in ("qiskit", "sympy"):
                return key
            key = getattr(key, "name", key)
            if not isinstance(key, str):
                return key
        found = self.aliases.get(key)
        if found is None and (element := _ELEMENT.fullmatch(key)) and element[1] in self.aliases:
            found = f"{self.aliases[element[1]]}[{element[2]}]"
        return key if found is None else found

    def renamed(self, values: Mapping[Any, Any]) -> dict[Any, Any]:
        """Values by the names here.

        Raises:
            ParameterError: two keys are one name here.
        """
        found: dict[Any, Any] = {}
        for key, value in values.items():
            name = self.name(key)
            if name in found:
                raise ParameterError(
                    f"Parameter values: `{name}` is given twice, the second time as {key!r}."
                )
            found[name] = value
        return found
