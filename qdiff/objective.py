"""Objectives: the expectation of an observable as a function of a program's parameters.

    f(θ) = Σ_σ tr(O(σ) ρ_σ(θ)),     averaged over all runs, aborted ones counting 0.

Values and derivatives are exact; `estimate` runs shots instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import ParameterError, QdiffError
from qdiff.lang.observable import Observable
from qdiff.lang.observable_input import observable_of
from qdiff.lang.parameters import expand, resolve
from qdiff.lang.tree import Program
from qdiff.sim.hybrid.analysis import Analysis, analyze
from qdiff.sim.hybrid.engine import DEFAULT_MEMORY, HybridEngine

if TYPE_CHECKING:
    from qdiff.estimators.estimate import Estimate
    from qdiff.sim.protocol import Backend


def expectation(
    program: Program,
    observable: object,
    *,
    qubits: Sequence[str] | None = None,
    max_memory: int = DEFAULT_MEMORY,
) -> Objective:
    """Return the expectation of an observable as a function of the parameters.

    Args:
        observable: text such as "c * P1[r] / 10", an `Observable`, or Qiskit's `SparsePauliOp`.
        qubits: for a `SparsePauliOp`, the qubits it acts on, the first for the rightmost letter;
            all qubits of the program in declared order where it is left out.
        max_memory: bytes that exact states may take; 4 GiB where it is left out.

    Raises:
        QdiffError: an observable that is not Hermitian, or names what the program does not declare.

    Example:
        >>> import qdiff as qd
        >>> p = qd.parse("qubit: q  para: t  Ry(t)[q]")
        >>> f = qd.expectation(p, "Z[q]")
        >>> round(f({"t": 0.5}), 6), f.grad({"t": 0.5}).round(6).tolist()
        (0.877583, [-0.479426])
    """
    if not isinstance(program, Program):
        raise QdiffError(f"Expected a Program (qd.parse, qd.load), got {type(program).__name__}.")
    return Objective(program, observable_of(program, observable, qubits), max_memory)


class Objective:
    """f(θ) = the expectation of `observable` after `program`. Made by `qd.expectation`.

    `params` is everywhere a mapping from names to numbers (arrays by name as sequences, or by
    element), or a flat sequence of the trainable parameters when no others are left. `wrt` is a
    name, an array name or a list of them; None means `program.trainable`.
    """

    def __init__(self, program: Program, observable: Observable, max_memory: int = DEFAULT_MEMORY) -> None:
        self.program = program
        self.observable = observable
        self._engine = HybridEngine(program, max_memory)

    def __call__(self, params: object = ()) -> float:
        """Return f(params).

        Raises:
            ParameterError: values missing, unknown, not finite, or of the wrong size.
            EvaluationError: an angle or a probability has no value, or a loop does not end.
            ResourceError: the exact states do not fit in memory.
        """
        return self._engine.value(resolve(self.program, params), self.observable)

    def grad(self, params: object = (), wrt: object = None) -> NDArray[np.float64]:
        """Return ∂f/∂wrt, float (len(wrt),), in the order of `wrt`; raises as `value_and_grad`."""
        return self.value_and_grad(params, wrt)[1]

    def value_and_grad(self, params: object = (), wrt: object = None) -> tuple[float, NDArray[np.float64]]:
        """Return f and ∂f/∂wrt from two solves, however many parameters there are.

        `scipy.optimize.minimize(f.value_and_grad, x0, jac=True)` works.

        Raises:
            ParameterError: as for the value; also a parameter in `wrt` that occurs in a comparison.
            EvaluationError: as for the value; also a derivative that does not exist.
        """
        values = resolve(self.program, params)
        return self._engine.value_and_grad(values, self.observable, self.differentiated(wrt))

    def analyze(self, params: object = ()) -> Analysis:
        """Return termination probability, expected visits and occurrences, and an error bound.

        Raises:
            ParameterError, EvaluationError, ResourceError: as for the value.
        """
        return analyze(self._engine, resolve(self.program, params), self.observable)

    def estimate(
        self,
        params: object = (),
        *,
        shots: int,
        seed: int | None = None,
        backend: str | Backend | None = None,
    ) -> Estimate:
        """Estimate f from shots.

        Args:
            shots: all that are spent, shared by the groups of terms that one run can read together.
            seed: drawn and recorded if None.
            backend: a backend or the name of one; qdiff's own simulator where it is left out.

        Returns:
            value, stderr, interval(level) and the rest of an `Estimate`.

        Raises:
            QdiffError: too few shots for the groups, a bad seed.
            ParameterError, EvaluationError: as for the value.
            BackendError: an unknown backend, or one that cannot run the program; what could is listed.
        """
        from qdiff.estimators.expectation import estimate_expectation
        from qdiff.sim.registry import find_backend

        return estimate_expectation(
            find_backend(backend),
            self.program,
            self.observable,
            resolve(self.program, params),
            shots,
            seed,
        )

    def differentiated(self, wrt: object = None) -> tuple[str, ...]:
        """Return the names that `wrt` stands for; compared parameters are refused."""
        if wrt is None:
            return self.program.trainable
        names = expand(wrt, self.program.parameters)
        compared = [name for name in names if name in self.program.compared]
        if compared:
            raise ParameterError(
                f"There is no derivative by `{compared[0]}`: it occurs in a comparison, where the objective "
                f"may jump. Trainable: {', '.join(self.program.trainable) or 'none'}."
            )
        return names

    def __repr__(self) -> str:
        return f"Objective({self.observable}; trainable: {', '.join(self.program.trainable) or 'none'})"
