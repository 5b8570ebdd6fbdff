"""Bounds of derivatives along lines through several parameters, from those by each of them.

Let F(x) = f(θ + xΔ) with |Δ_p| ≤ 1 for the parameters p in a list. F is a function of one parameter x, to
which `qdiff.sim.majorants` applies, with N the number of executed primitives that contain any p:

    E[N] ≤ Σ_p E[N_p],      w ≤ Σ_p (1 + w_p) - 1

From any place at most one primitive with p is met before the place after one, from where w_p more are
expected; and a place after a primitive with q is such a place for q itself. The derivatives of an angle
a(θ + xΔ) are sums over its parameters: |a'| ≤ Σ_p |∂_p a|. Where an angle has one of the parameters only, or
is affine in all that it has together, the later ones are bounded by those of one parameter each; of others,
such as `t*u`, mixed derivatives are not known, and only the first order is bounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from qdiff.lang.expr import Expr
from qdiff.lang.tree import Program
from qdiff.lang.walk import differentiable_expressions
from qdiff.sim.majorants import OUTWARDS, DerivativeBounds, OccurrenceBounds


def joint_bounds(
    program: Program, names: Sequence[str], bounds: Sequence[DerivativeBounds]
) -> DerivativeBounds:
    """Return bounds of the derivatives of x ↦ f(θ + xΔ) at 0, for every Δ with entries from -1 to 1.

    Args:
        names: of the parameters along which Δ goes, at least one. bounds: by each of them, of one observable
            at one θ.
    """
    if len(names) == 1:
        return bounds[0]
    expressions = set(differentiable_expressions(program.body))
    mixed = [e for e in expressions if not _separate(e, names)]
    complete = all(each.complete for each in bounds) and not mixed
    orders = max(len(part) for each in bounds for part in (each.gates, each.flips)) if complete else 1
    together = [frozenset(e.parameters().intersection(names)) for e in expressions]
    reasons = [part for each in bounds for part in each.reason.split("; ")]  # many say the same
    if mixed:
        first = min(str(e) for e in mixed)
        reasons.append(f"`{first}` is not affine in the parameters that vary together")
    occurrences = OccurrenceBounds(
        sum(each.occurrences.expected for each in bounds) * OUTWARDS,
        (sum(1 + each.occurrences.to_come for each in bounds) - 1) * OUTWARDS,
        "; ".join(dict.fromkeys(filter(None, [each.occurrences.reason for each in bounds]))),
    )
    return DerivativeBounds(
        max(each.norm for each in bounds),
        occurrences,
        _suprema(dict(zip(names, [each.gates for each in bounds], strict=True)), together, orders),
        _suprema(dict(zip(names, [each.flips for each in bounds], strict=True)), together, orders),
        complete,
        "; ".join(dict.fromkeys(filter(None, reasons))),
    )


def _separate(expression: Expr, names: Sequence[str]) -> bool:
    """Whether an expression has one of the parameters, or is affine in those that it has."""
    own = expression.parameters().intersection(names)
    return len(own) < 2 or all(own.isdisjoint(expression.diff(name).parameters()) for name in own)


def _suprema(
    found: dict[str, tuple[float, ...]], together: Iterable[frozenset[str]], orders: int
) -> tuple[float, ...]:
    """Suprema of orders 1 … along a line, from those by each parameter."""
    first = max((math.fsum(found[p][0] for p in own if found[p]) * OUTWARDS for own in together), default=0.0)
    later = [
        max((each[m] for each in found.values() if len(each) > m), default=0.0) for m in range(1, orders)
    ]
    return (first, *later) if first or any(later) else ()
