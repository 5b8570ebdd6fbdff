"""Offers: at a site one of several blocks is taken with a small "probability", for exact engines.

A chance ε·c stands as `flip(ε·c)`. Only derivatives by ε at 0 are taken, so c may have any size and sign.
"""

from __future__ import annotations

from collections.abc import Sequence

from qdiff.lang.expr import ONE, ZERO, Counter, Expr, Indicator
from qdiff.lang.rebuild import rebuild
from qdiff.lang.tree import Assign, Block, Condition, Flip, If, Statement
from qdiff.rules.statements import compare
from qdiff.rules.workspace import Workspace

DEEPEST_CHAIN = 50  # flips inside each other's `else`


def offered(offers: Sequence[tuple[Expr, Block]], untouched: Condition, same: Block) -> Block:
    """Return statements that take the first offer whose flip is true, or do `same` where none is.

    Offers stand inside each other's `else`, so that runs come together once; a long list is split into
    groups, each for runs that are still untouched.
    """
    groups = [offers[i : i + DEEPEST_CHAIN] for i in range(0, len(offers), DEEPEST_CHAIN)] or [[]]
    out: list[Statement] = []
    for number_of_group, group in enumerate(groups):
        last = number_of_group == len(groups) - 1
        chain: Block = same if last else ()
        for chance, block in reversed(group):
            chain = (If(Flip(chance), block, chain),)
        out.extend((If(untouched, chain),) if number_of_group else chain)
    return tuple(out)


class Printable:
    """Coefficients in which every [index = value] is a counter, for it has no text; for one site."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.names: dict[Indicator, str] = {}

    def __call__(self, coefficient: Expr) -> Expr:
        """Return a coefficient over counters that `evaluated` sets."""

        def named(node: Expr, operands: list[Expr]) -> Expr:
            if isinstance(node, Indicator):
                outer = Indicator(operands[0], node.value)  # those inside its index come first
                if outer not in self.names:
                    self.names[outer] = self.workspace.counter("is")
                return Counter(self.names[outer])
            return rebuild(node, operands) if operands else node

        return coefficient.fold(named)

    def evaluated(self) -> Block:
        """Return the statements that leave the value of every [index = value] in its counter."""
        out: list[Statement] = []
        for node, name in self.names.items():
            # Comparisons are of real expressions, and have no `mod`.
            out.append(Assign(name, node.index))
            out.append(If(compare(name, "=", node.value), (Assign(name, ONE),), (Assign(name, ZERO),)))
        return tuple(out)
