"""Objectives with several values: one solve forwards for all of them, one backwards for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NoReturn

import numpy as np

from qdiff.errors import QdiffError
from qdiff.lang.parameters import resolve
from qdiff.lang.tree import Program
from qdiff.objective.arguments import differentiated, direction
from qdiff.objective.batch import answer_all, read_rows
from qdiff.objective.chain import Chain
from qdiff.objective.quantities import Mean
from qdiff.objective.sampled import Sampled
from qdiff.objective.scalar import Objective
from qdiff.objective.tables import one_row
from qdiff.sim.analysis import Analysis
from qdiff.sim.engines import Engines
from qdiff.sim.exact import Floats


class VectorObjective(Sampled):
    """f(θ) = the expectations of k observables after `program`. Made by `qd.expectation` from a list.

    `params`, `wrt` and the errors raised are those of a single `Objective`; `f[i]` is the one of the
    i-th observable, with everything that a number has and a vector has not.

        f_i(θ) = Σ_σ tr(O_i(σ) ρ_σ(θ)),   i = 0, …, k - 1

    Raises:
        QdiffError: of what only a single observable has, such as `grad` and `hessian`; it names `f[0]`.

    Example:
        >>> import qdiff as qd
        >>> f = qd.expectation(qd.parse("qubit: q  para: t  Ry(t)[q]"), ["Z[q]", "X[q]"])
        >>> f([0.5]).round(6).tolist(), f.jacobian([0.5]).round(6).tolist()
        ([0.877583, 0.479426], [[-0.479426], [0.877583]])
    """

    def __init__(self, program: Program, means: Sequence[Mean], engines: Engines) -> None:
        self.program = program
        self.means = tuple(means)
        self.observables = tuple([mean.observable for mean in means])
        self.engines = engines
        self.chain = Chain(engines, self.means)

    @cached_property
    def _each(self) -> tuple[Objective, ...]:
        return tuple(Objective(self.program, mean, self.engines) for mean in self.means)

    @property
    def shape(self) -> tuple[int, ...]:
        """(k,)."""
        return (len(self),)

    def __len__(self) -> int:
        return len(self.observables)

    def __getitem__(self, index: int) -> Objective:
        return self._each[index]

    def __iter__(self) -> Iterator[Objective]:
        return iter(self._each)

    def __call__(self, params: object = None) -> Floats:
        """Return f(params), float (k,)."""
        return np.asarray(self.chain.values(one_row(self.program, params))[0])

    def jacobian(self, params: object = None, wrt: object = None) -> Floats:
        """Return ∂f/∂wrt, float (k, d)."""
        return self.value_and_jacobian(params, wrt)[1]

    def value_and_jacobian(self, params: object = None, wrt: object = None) -> tuple[Floats, Floats]:
        """Return f, float (k,), and ∂f/∂wrt, float (k, d)."""
        rows = one_row(self.program, params)
        found, slopes = self.chain.gradients(rows, differentiated(self.program, wrt))
        return found[0], slopes[0]

    def jvp(self, params: object, v: object, wrt: object = None) -> tuple[Floats, Floats]:
        """Return f and its derivative along v (d,): float (k,) and (k,)."""
        names = differentiated(self.program, wrt)
        return self.chain.tangents(resolve(self.program, params), names, direction(v, names))

    def batch_value(self, batch: object) -> Floats:
        """Return f of B sets of values, float (B, k); errors as for an `Objective`."""
        rows, errors = read_rows(self.program, batch)
        return answer_all(rows, errors, [(len(self),)], lambda some: (self.chain.values(some),))[0]

    def analyze(self, params: object = None, wrt: object = None) -> tuple[Analysis, ...]:
        """Return an analysis for each observable; they differ in their bounds."""
        values = resolve(self.program, params)
        return tuple(self.chain.analyze(values, differentiated(self.program, wrt)))

    def grad(self, params: object = None, wrt: object = None) -> NoReturn:
        """Refused: see `jacobian`."""
        raise self._refused("grad", "f.jacobian(params) has shape (k, d)")

    def value_and_grad(self, params: object = None, wrt: object = None) -> NoReturn:
        """Refused: see `value_and_jacobian`."""
        raise self._refused("value_and_grad", "f.value_and_jacobian(params) has them all")

    def batch_value_and_grad(self, batch: object, wrt: object = None) -> NoReturn:
        """Refused: ask for one component."""
        raise self._refused("batch_value_and_grad", "f.batch_value(batch) has the values")

    def hessian(self, params: object = None, wrt: object = None) -> NoReturn:
        """Refused: ask for one component."""
        raise self._refused("hessian")

    def hvp(self, params: object, v: object, wrt: object = None) -> NoReturn:
        """Refused: ask for one component."""
        raise self._refused("hvp")

    @property
    def variance(self) -> NoReturn:
        """Refused: ask for one component."""
        raise self._refused("variance")

    @property
    def given_termination(self) -> NoReturn:
        """Refused: ask for one component."""
        raise self._refused("given_termination")

    def estimate_grad(self, *_: object, **__: object) -> NoReturn:
        """Refused: see `estimate_jacobian`."""
        raise self._refused("estimate_grad", "f.estimate_jacobian(params, …) has shape (k, d)")

    def estimate_hessian(self, *_: object, **__: object) -> NoReturn:
        """Refused: ask for one component."""
        raise self._refused("estimate_hessian")

    def estimate_hvp(self, *_: object, **__: object) -> NoReturn:
        """Refused: ask for one component."""
        raise self._refused("estimate_hvp")

    def _refused(self, name: str, instead: str = "") -> QdiffError:
        more = f", or {instead}" if instead else ""
        return QdiffError(
            f"`{name}` belongs to one observable, and this objective has {len(self)}. "
            f"Take one, f[0].{name}{more}."
        )

    def __repr__(self) -> str:
        trainable = ", ".join(self.program.trainable) or "none"
        return f"VectorObjective({'; '.join(mean.text for mean in self.means)}; trainable: {trainable})"
