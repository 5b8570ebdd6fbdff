"""Objectives: one number as a function of a program's parameters, with derivatives of every kind.

An `Objective` is the expectation f(θ) = Σ_σ tr(O(σ) ρ_σ(θ)), or a function of several, such as a
variance (`quantities`). Values and derivatives are exact; `estimate` runs shots instead.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from qdiff.errors import QdiffError
from qdiff.lang.observable import Observable
from qdiff.lang.parameters import resolve
from qdiff.lang.tree import Program
from qdiff.objective.arguments import differentiated, direction
from qdiff.objective.batch import answer_all, read_rows
from qdiff.objective.chain import Chain
from qdiff.objective.quantities import Quantity
from qdiff.objective.sampled import SampledNumber
from qdiff.objective.tables import one_row
from qdiff.sim.analysis import Analysis
from qdiff.sim.engines import Engines
from qdiff.sim.exact import Floats

DERIVED = "There are f.variance, f.given_termination and f.given_termination.variance of an expectation f."


class Objective(SampledNumber):
    """A number as a function of the parameters. Made by `qd.expectation`.

        f(θ) = Σ_σ tr(O(σ) ρ_σ(θ)),   over all runs, those that abort or never end counting 0

    or, as `f.variance` and `f.given_termination`, a function of several such expectations.

    `params` is everywhere a mapping from names to numbers (arrays by name as sequences, or by
    element), or a flat sequence of the trainable parameters when no others are left. `wrt` is a name,
    an array name or a list of them; None means `program.trainable`; d is the number of parameters in
    it. Every call may raise

        ParameterError: values missing, unknown, not finite, or of the wrong size; a parameter in `wrt`
            that occurs in a comparison.
        EvaluationError: something has no value where a run comes, or a derivative does not exist.
        ResourceError: the exact states do not fit in memory.

    Example:
        >>> import qdiff as qd
        >>> f = qd.expectation(qd.parse("qubit: q  para: t, u  Ry(t)[q]; Ry(u)[q]"), "P1[q]")
        >>> value, slopes = f.value_and_grad({"t": 0.5, "u": 0.25})
        >>> round(value, 6), slopes.round(6).tolist()
        (0.134156, [0.340819, 0.340819])
        >>> f.hessian([0.5, 0.25]).shape, round(f.variance([0.5, 0.25]), 6)
        ((2, 2), 0.116158)
    """

    def __init__(self, program: Program, quantity: Quantity, engines: Engines) -> None:
        self.program = program
        self.quantity = quantity
        self.engines = engines
        self.chain = Chain(engines, [quantity])

    @property
    def observable(self) -> Observable:
        """What is observed."""
        return self.quantity.observable

    # --- first order ---

    def __call__(self, params: object = None) -> float:
        """Return f(params)."""
        return float(self.chain.values(one_row(self.program, params))[0, 0])

    def grad(self, params: object = None, wrt: object = None) -> Floats:
        """Return ∂f/∂wrt, float (d,), in the order of `wrt`."""
        return self.value_and_grad(params, wrt)[1]

    def value_and_grad(self, params: object = None, wrt: object = None) -> tuple[float, Floats]:
        """Return f and ∂f/∂wrt (d,) from two solves, however many parameters there are.

        `scipy.optimize.minimize(f.value_and_grad, x0, jac=True)` works.
        """
        rows = one_row(self.program, params)
        found, slopes = self.chain.gradients(rows, differentiated(self.program, wrt))
        return float(found[0, 0]), slopes[0, 0]

    def jacobian(self, params: object = None, wrt: object = None) -> Floats:
        """Return the derivatives of all components, of which there is one: the gradient, float (d,)."""
        return self.grad(params, wrt)

    def jvp(self, params: object, v: object, wrt: object = None) -> tuple[float, float]:
        """Return f and its derivative along v: Σ_i v_i ∂f/∂wrt_i.

        Args:
            v: (d,), in the order of `wrt`.

        Raises:
            ParameterError: also a direction of another size, or not finite.
        """
        names = differentiated(self.program, wrt)
        value, derivative = self.chain.tangents(resolve(self.program, params), names, direction(v, names))
        return float(value[0]), float(derivative[0])

    # --- second order ---

    def hessian(self, params: object = None, wrt: object = None) -> Floats:
        """Return ∂²f/∂wrt∂wrt, float (d, d), symmetric to the last bit.

        Raises:
            EvaluationError: also where an angle or a probability has no second derivative.
        """
        names = differentiated(self.program, wrt)
        _, _, products = self.chain.curvature(resolve(self.program, params), names, np.eye(len(names)))
        return np.asarray((products[0] + products[0].T) / 2)

    def hvp(self, params: object, v: object, wrt: object = None) -> Floats:
        """Return the Hessian times v, float (d,), at a small multiple of a gradient's cost.

        Args:
            v: (d,), in the order of `wrt`.

        Raises:
            ParameterError: also a direction of another size, or not finite.
            EvaluationError: also where an angle or a probability has no second derivative.
        """
        names = differentiated(self.program, wrt)
        parameters, along = resolve(self.program, params), direction(v, names)
        return np.asarray(self.chain.curvature(parameters, names, along[None, :])[2][0, 0])

    # --- batches ---

    def batch_value(self, batch: object) -> Floats:
        """Return f of B sets of values, float (B,); as `batch_value_and_grad`, without derivatives."""
        rows, errors = read_rows(self.program, batch)
        return answer_all(rows, errors, [()], lambda some: (self.chain.values(some)[:, 0],))[0]

    def batch_value_and_grad(self, batch: object, wrt: object = None) -> tuple[Floats, Floats]:
        """Return f and ∂f/∂wrt of B sets of values, float (B,) and (B, d).

        Args:
            batch: an array (B, d) of the trainable parameters when everything else is bound; a list of
                B sets of values; or a mapping from names to one value for all rows or B values
                (for an array (B, size)).

        Raises:
            BatchError: some rows have no value; it names them and holds the results of the others.
            ParameterError: what is no batch, entries of different lengths, bad `wrt`.
        """
        rows, errors = read_rows(self.program, batch)
        names = differentiated(self.program, wrt)

        def answer(some: Any) -> tuple[Floats, Floats]:
            values, slopes = self.chain.gradients(some, names)
            return values[:, 0], slopes[:, 0]

        found = answer_all(rows, errors, [(), (len(names),)], answer)
        return found[0], found[1]

    # --- accuracy ---

    def analyze(self, params: object = None, wrt: object = None) -> Analysis:
        """Return termination probability, expected visits and occurrences, and error bounds.

        `error_bound` is of f, `grad_error_bound` of its derivatives by `wrt`; `reason` says why the
        engine was chosen.
        """
        values = resolve(self.program, params)
        return self.chain.analyze(values, differentiated(self.program, wrt))[0]

    def differentiated(self, wrt: object = None) -> tuple[str, ...]:
        """Return the names that `wrt` stands for; compared parameters are refused."""
        return differentiated(self.program, wrt)

    # --- other quantities of the same outcomes ---

    @cached_property
    def variance(self) -> Objective:
        """Var = E[O²] - E[O]² of the outcome of one shot, runs that do not end counting 0.

        Of `f.given_termination` it is the variance of the outcome of a shot that ended.

        Raises:
            QdiffError: of a variance.
        """
        return self._other(self.quantity.variance(), "variance")

    @cached_property
    def given_termination(self) -> Objective:
        """E[O | the run ends] = E[O] / P(the run ends); an EvaluationError where P is 0.

        Raises:
            QdiffError: of a variance (take `f.given_termination.variance`), or of what is conditional.
        """
        return self._other(self.quantity.given_termination(), "expectation given termination")

    def _other(self, quantity: Quantity | None, name: str) -> Objective:
        if quantity is None:
            raise QdiffError(f"{self.quantity.text} has no {name}. {DERIVED}")
        return Objective(self.program, quantity, self.engines)

    def __repr__(self) -> str:
        trainable = ", ".join(self.program.trainable) or "none"
        return f"Objective({self.quantity.text}; trainable: {trainable})"
