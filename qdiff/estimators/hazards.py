"""Whether a geometric law falls slower than the occurrences of runs do: its variance hangs on that.

    Σ_k E[o²; N ≥ k]/μ(k) < ∞  with μ(k) = h (1-h)^(k-1)   where   r < 1 - h,     P(N ≥ k) ~ r^k

r is estimated from the runs of the estimate: one whose occurrence K was replaced went on at least to K, one
that ended before it had N occurrences (Kaplan and Meier, 1958). Those late occurrences count to which still a
few dozen runs come; of later ones, hardly ever drawn, nothing is known. Where r, with its error, is not below
1 - h, the spread of the runs says nothing of the error of their mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.replaced_runs import ReplacedRuns, Rows
from qdiff.estimators.survival import Survival, survival
from qdiff.rules.self_contained import SelfContained
from qdiff.rules.sites import Site

Ints = NDArray[np.int64]

LISTED = 4096
"""Occurrences that are told apart."""
ENOUGH = 30
"""Runs that might go on to an occurrence: with fewer it is not looked at."""
ERRORS = 2.0
"""Standard errors by which r is taken larger."""


def nothing_lived() -> Survival:
    """No runs yet."""
    return Survival(np.zeros(LISTED), np.zeros(LISTED), 0.0)


def lived(runs: ReplacedRuns, rows: Rows, k: Ints | None) -> Survival:
    """Return how runs went on from occurrence to occurrence.

    Args:
        k: int64 (n,), the occurrence to replace; None where a coin in the program decides.
    """
    rendered = runs.rendered
    counter = rendered.occurrence if isinstance(rendered, SelfContained) else rendered.inputs[0]
    counted = rows.counters[:, runs.column(counter)]
    # The host's k is counted down, to 0 where it is replaced; the coin's is counted up.
    executed = counted if k is None else k - counted
    replaced = {name for case in rendered.weights.cases for name, _ in case.where[:1]}
    reached = rows.cut | np.any([rows.counters[:, runs.column(name)] != 0 for name in replaced], axis=0)
    return survival(executed, reached, LISTED, 0.0)


def decay_rate(seen: Survival, together: int) -> float:
    """Return what r may be, with its error.

    The logarithms of P(N ≥ k | N ≥ k - 1) are averaged over the second half of the occurrences that were
    seen, with ERRORS standard errors, and over fewer and fewer of the last ones, of which the first do not
    know; the largest counts.

    Args:
        together: how many occurrences may belong to one pass of a loop: as many are averaged, or a multiple.
    """
    most = float(seen.risk.max(initial=0.0))
    known = int((seen.risk >= min(ENOUGH, most)).sum()) if most else 0
    if not known:
        return 1.0
    left = seen.risk[:known] + 1
    on = (left - seen.falls[:known] - 0.5) / left  # half a run is added to both ways: none is certain
    spread = (1 - on) / (on * left)
    least = min(max(together, 1), known)
    longest = least * max((known - known // 2) // least, 1)
    rates = [float(np.log(on[-n:]).mean()) for n in range(least, longest + 1, least)]
    rates.append(rates[-1] + ERRORS * math.sqrt(float(spread[-longest:].sum())) / longest)
    return min(math.exp(max(rates)), 1.0)


def hazard_reason(parameter: str, sites: Sequence[Site], seen: Survival, hazard: float) -> str:
    """Return why intervals are not to be trusted, "" where the law falls slower than occurrences do."""
    drawn = float(seen.risk[0]) * hazard * (1 - hazard) ** (len(sites) - 1)
    if drawn >= ENOUGH and not any(site.looped for site in sites):
        return ""  # there are no more occurrences than sites, and the last was drawn often enough
    rate = decay_rate(seen, sum(site.looped for site in sites))
    if rate < 1 - hazard:
        return ""
    slower = f"hazard={1 - math.sqrt(rate):.2g} or " if rate < 0.9999 else ""
    return (
        f"the variance by `{parameter}` is infinite, or may be: of runs that come to a late occurrence up to "
        f"{rate:.2g} come to the next, which must be below 1 - hazard = {1 - hazard:.2g}: use "
        f'{slower}mu="log-power"'
    )
