"""What an estimator hands back: a number, how far it may be off, and whether that may be believed.

    interval(level) = value ± (q · stderr + bias_bound)

with q the quantile of Student's t with `degrees` degrees of freedom (of the normal distribution
where they are infinite). An interval that the data cannot carry says so: `interval_trusted` and
`reason`.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError
from qdiff.estimators.contributions import Contribution
from qdiff.lang.formats import drawers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Real = float | NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Estimate:
    """An estimated number, or array of numbers, with its standard error.

    Attributes:
        value: float or float64 (k,).
        stderr: standard error, of the shape of `value`.
        shots: all shots that were spent on it.
        seed: repeats it.
        estimator: the name of the method.
        bias_bound: a proved bound of |E[value] - truth|; 0 where unbiased, inf where none is known.
        degrees: degrees of freedom behind `stderr`.
        reason: why intervals are not to be trusted, or "".
        note: what the backend did otherwise than asked, and why, or "".
        reached: whether the precision that was asked for was reached; the note says what is missing.
        covariance: float (D, D) of all D numbers, in the order of value.ravel(); None where it is only
            stderr².
        contributions: what each occurrence gave, for derivatives that are sums over occurrences.
        course: (shots so far, value (D,), stderr (D,)) after each round.
        learned: of "stratified" and of adaptive "insertion" what their pilots found out, how to share out
            shots: hand the estimate to a later one as `warm` to spend nothing on finding it again. Of
            "trajectory" and all that has no pilot None, and `warm` changes nothing.
    """

    value: Real
    stderr: Real
    shots: int
    seed: int
    estimator: str
    bias_bound: Real = 0.0
    degrees: Real = math.inf
    reason: str = ""
    note: str = ""
    reached: bool = True
    covariance: NDArray[np.float64] | None = None
    contributions: tuple[Contribution, ...] = ()
    course: tuple[tuple[int, NDArray[np.float64], NDArray[np.float64]], ...] = ()
    learned: object = None

    def __post_init__(self) -> None:
        if np.shape(self.value) != np.shape(self.stderr):
            raise QdiffError(
                f"Value and standard error of an estimate must have one shape, got {np.shape(self.value)} "
                f"and {np.shape(self.stderr)}."
            )
        if not np.all(np.isfinite(self.value)) or not np.all(np.greater_equal(self.stderr, 0)):
            raise QdiffError(
                "An estimate must be finite, its standard error not negative, "
                f"got {self.value} ± {self.stderr}."
            )

    @property
    def interval_trusted(self) -> bool:
        """Whether intervals hold their level as far as the data can tell; see `reason`."""
        return not self.reason

    def interval(self, level: float = 0.95) -> tuple[Real, Real]:
        """Return (low, high), which holds the truth with probability about `level`.

        Raises:
            QdiffError: a level that is not between 0 and 1.
        """
        if not isinstance(level, int | float | np.floating) or not 0 < level < 1:
            raise QdiffError(f"The level of an interval must be between 0 and 1, got {level!r}.")
        reach = _quantile(level, self.degrees) * np.asarray(self.stderr) + self.bias_bound
        low, high = self.value - reach, self.value + reach
        return (low, high) if np.ndim(self.value) else (float(low), float(high))

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Draw contributions and shots by occurrence, where it has them, and how the error fell.

        Args:
            path: where to save the picture; its suffix is the format.

        Raises:
            QdiffError: a picture that cannot be written.
        """
        figure: Figure = drawers.find("plot:estimate")(self, path)
        return figure

    def __str__(self) -> str:
        pairs = list(zip(np.ravel(self.value), np.ravel(self.stderr), strict=True))
        shown = ", ".join(with_error(float(value), float(stderr)) for value, stderr in pairs)
        if np.ndim(self.value):
            shown = f"[{shown}]"
        notes = [f"{self.shots} shots", f"seed {self.seed}"]
        if 0 < np.max(self.bias_bound) < math.inf:
            notes.append(f"bias at most {np.max(self.bias_bound):.2g}")
        if self.reason:
            notes.append(f"interval not trusted: {self.reason}")
        notes += [self.note] if self.note else []
        return f"{shown} ({', '.join(notes)})"

    __repr__ = __str__


def with_error(value: float, stderr: float) -> str:
    """Text for a number with its standard error in two digits: "0.6449 ± 0.0031"."""
    if stderr == 0 or not math.isfinite(stderr):
        return f"{value:.6g} ± {stderr:g}"
    decimals = 1 - math.floor(math.log10(float(f"{stderr:.1e}")))
    if not -15 < decimals <= 10 or abs(value) >= 1e15:
        return f"{value:.6e} ± {stderr:.1e}"
    return f"{round(value, decimals):.{max(decimals, 0)}f} ± {round(stderr, decimals):.{max(decimals, 0)}f}"


def _quantile(level: float, degrees: Real) -> NDArray[np.float64]:
    """The two-sided quantile of Student's t; of the normal distribution at infinite degrees."""
    tail = (1 - level) / 2
    normal = -NormalDist().inv_cdf(tail)
    freedom = np.asarray(degrees, dtype=float)
    infinite = np.isinf(freedom)
    if np.all(infinite):
        return np.full(freedom.shape, normal)
    from scipy.special import stdtrit

    return np.where(infinite, normal, -stdtrit(np.where(infinite, 1, freedom), tail))
