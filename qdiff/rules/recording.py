"""Coefficients that read counters: what these held where a primitive was replaced is recorded."""

from __future__ import annotations

from collections.abc import Iterable

from qdiff.lang.expr import Counter, Expr
from qdiff.lang.rebuild import rebuild
from qdiff.lang.tree import Assign, Block
from qdiff.rules.workspace import Workspace


class Recorder:
    """Keeps a counter for every counter that some coefficient reads.

    Args:
        workspace: gives the names; what uses a recorder takes its other names there, too.
        prefix: how they begin: c is recorded in `at_c`.
    """

    def __init__(self, workspace: Workspace, prefix: str = "at") -> None:
        self.workspace = workspace
        self.prefix = prefix
        self.names: dict[str, str] = {}  # counter → the one that holds its value at the replaced place

    def noted(self, counters: Iterable[str]) -> Block:
        """Return the statements that record counters; they stand before what replaces the primitive."""
        read = sorted(counters)
        for name in read:
            if name not in self.names:
                flat = name.replace("[", "_").rstrip("]")
                self.names[name] = self.workspace.counter(f"{self.prefix}_{flat}")
        return tuple([Assign(self.names[name], Counter(name)) for name in read])

    def over(self, coefficient: Expr) -> Expr:
        """Return a coefficient over the counters that hold its values at the end of a run."""

        def renamed(node: Expr, operands: list[Expr]) -> Expr:
            if isinstance(node, Counter):
                return Counter(self.names[node.name], pos=node.pos)
            return rebuild(node, operands) if operands else node

        return coefficient.fold(renamed) if self.names else coefficient
