"""Which values of counters angles and probabilities read: the rows at which expressions are evaluated.

A *row* is one set of values of the counters that any of them reads. Rows are discovered while a program is
followed, so that all expressions can be evaluated at all rows afterwards, in one pass.
"""

from __future__ import annotations

from qdiff.sim.flow import Flow

Store = tuple[int, ...]


class Rows:
    """The rows met so far. Row 0 serves expressions that read no counter."""

    def __init__(self, flow: Flow) -> None:
        self.read = [sorted(flow.index[c] for c in e.counters()) for e in flow.expressions]
        self.counters = sorted({i for read in self.read for i in read})
        self.keys: list[tuple[int, ...]] = [(0,) * len(self.counters)]
        self.number = {self.keys[0]: 0}

    def row(self, expression: int, store: Store) -> int:
        """The row of an expression at a store; counters that it does not read count as 0."""
        read = self.read[expression]
        if not read:
            return 0
        key = tuple(store[i] if i in read else 0 for i in self.counters)
        if key not in self.number:
            self.number[key] = len(self.number)
            self.keys.append(key)
        return self.number[key]
