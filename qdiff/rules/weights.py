"""What a run of a derivative program counts: its result times a weight read from its counters.

    weight = [site, term → coefficient](recorded counters, parameters) · hit

A run that never came to its replaced occurrence has hit = 0 and counts 0; aborted runs count 0 anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qdiff.errors import QdiffError
from qdiff.lang.expr import Counter, Expr
from qdiff.lang.rebuild import rebuild


@dataclass(frozen=True)
class Weights:
    """The weight of a run, as a function of the counters at its end.

    Attributes:
        counters: the names of all counters of the derivative program, in order.
        site, term, hit: which of them say what was replaced (site 0: nothing) by which term, and the sign.
        coefficients: for every site, from 1, the coefficients of its terms, from 0, over parameters and
            counters of the derivative program; one expression of `term` for an infinite rule.
    """

    counters: tuple[str, ...]
    site: str
    term: str
    hit: str
    coefficients: tuple[tuple[Expr, ...] | Expr, ...]

    def __call__(self, stores: ArrayLike, params: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the weight of each run.

        Args:
            stores: integers (rows, counters): where runs ended.
            params: the value of every parameter of the program.

        Returns:
            (rows,): 0 where the occurrence was not reached.

        Raises:
            EvaluationError: a coefficient without a value, such as the slope of `sqrt` at 0.
        """
        rows = np.asarray(stores, dtype=np.int64)
        if rows.ndim != 2 or rows.shape[1] != len(self.counters):
            raise QdiffError(
                f"Stores are integers of the shape (rows, {len(self.counters)}), got {rows.shape}."
            )
        different, which = np.unique(rows, axis=0, return_inverse=True)
        return np.array([self._weight(row, params) for row in different.tolist()])[which.reshape(-1)]

    def _weight(self, row: Sequence[int], params: Mapping[str, float]) -> float:
        store = dict(zip(self.counters, row, strict=True))
        site, term, hit = store[self.site], store[self.term], store[self.hit]
        if hit == 0 or not 1 <= site <= len(self.coefficients):
            return 0.0
        found = self.coefficients[site - 1]
        if isinstance(found, Expr):
            return hit * float(found.evaluate(params, store))
        return hit * float(found[term].evaluate(params, store)) if 0 <= term < len(found) else 0.0

    def lines(self) -> list[str]:
        """One line for each coefficient, as comments of a program's text."""
        lines: list[str] = []
        for i, some in enumerate(self.coefficients, 1):
            if isinstance(some, Expr):
                lines.append(f"# {self.site} = {i}, any integer {self.term}: {some}")
            else:
                lines += [f"# {self.site} = {i}, {self.term} = {j}: {c}" for j, c in enumerate(some)]
        return lines


def recorded(expression: Expr, names: Mapping[str, str]) -> Expr:
    """Return an expression with counters renamed to those that hold their value at the replaced site."""

    def rename(node: Expr, operands: list[Expr]) -> Expr:
        if isinstance(node, Counter):
            return Counter(names[node.name], pos=node.pos)
        return rebuild(node, operands) if operands else node

    return expression.fold(rename)
