"""How large circuits are once their loops are written out."""

from __future__ import annotations

from typing import Any

MOST_STATEMENTS = 1_000_000
"""Instructions of an unrolled circuit, as in the language."""
MOST_UNROLLED = 10_000
"""Instructions of one `for_loop` that are written one after the other; more become a loop over a counter."""


class Sizes:
    """How many instructions circuits have with their loops unrolled, about; each is looked at once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, Any]] = {}  # the circuit is kept, so that an id is its own

    def of(self, circuit: Any) -> int:
        """That of a circuit or block."""
        if id(circuit) not in self._known:
            total = len(circuit.data)
            for instruction in circuit.data:
                operation = instruction.operation
                for block in getattr(operation, "blocks", ()):
                    found = self.of(block)
                    if operation.name == "for_loop":
                        indices = operation.params[0]
                        found = found if self.is_counted(indices, block) else self.of_loop(indices, block)
                    total += found
            self._known[id(circuit)] = total, circuit
        return self._known[id(circuit)][0]

    def of_loop(self, indices: Any, body: Any) -> int:
        """That of all passes; an empty one counts, too."""
        return len(indices) * max(1, self.of(body))

    def is_counted(self, indices: Any, body: Any) -> bool:
        """Whether a loop becomes one over a counter."""
        return isinstance(indices, range) and self.of_loop(indices, body) > MOST_UNROLLED
