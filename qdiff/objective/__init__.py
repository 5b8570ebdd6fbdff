"""Objectives: expectations of observables as functions of a program's parameters.

    f(θ) = Σ_σ tr(O(σ) ρ_σ(θ)),     averaged over all runs, aborted ones counting 0.

Values, derivatives of every kind and bounds are exact; `estimate` runs shots instead.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, overload

from qdiff.errors import QdiffError, listed
from qdiff.lang.matrix_observable import MatrixObservable
from qdiff.lang.noise.model import NoiseModel, checked_noise
from qdiff.lang.observable import Observable
from qdiff.lang.observable_input import observable_of
from qdiff.lang.tree import Program
from qdiff.objective.quantities import Mean
from qdiff.objective.scalar import Objective
from qdiff.objective.vector import VectorObjective
from qdiff.sim.engines import Engines
from qdiff.sim.exact import DEFAULT_MEMORY, ExactEngine
from qdiff.sim.pure.memory import checked_memory

__all__ = ["Objective", "VectorObjective", "expectation"]

MOST_NAMED = 5


@overload
def expectation(  # type: ignore[overload-overlap]  # a list is an object, too
    program: Program,
    observable: list[Any] | tuple[Any, ...],
    *,
    qubits: Sequence[str] | None = None,
    max_memory: int = DEFAULT_MEMORY,
    engine: str | ExactEngine | None = None,
    noise: NoiseModel | None = None,
    dtype: object = None,
    threads: int | None = None,
) -> VectorObjective: ...


@overload
def expectation(
    program: Program,
    observable: object,
    *,
    qubits: Sequence[str] | None = None,
    max_memory: int = DEFAULT_MEMORY,
    engine: str | ExactEngine | None = None,
    noise: NoiseModel | None = None,
    dtype: object = None,
    threads: int | None = None,
) -> Objective: ...


def expectation(
    program: Program,
    observable: object,
    *,
    qubits: Sequence[str] | None = None,
    max_memory: int = DEFAULT_MEMORY,
    engine: str | ExactEngine | None = None,
    noise: NoiseModel | None = None,
    dtype: object = None,
    threads: int | None = None,
) -> Objective | VectorObjective:
    """Return the expectation of an observable as a function of the parameters.

    Args:
        observable: text such as "c * P1[r] / 10", an `Observable`, Qiskit's `SparsePauliOp`, or a Hermitian
            matrix, `scipy.sparse` or a NumPy array (2ᵏ, 2ᵏ), see `MatrixObservable`; a list of them gives a
            `VectorObjective`, whose value is an array.
        qubits: for a `SparsePauliOp` or a matrix, the qubits it acts on, the first for the rightmost letter,
            for the least significant bit of row numbers; all qubits of the program in declared order where
            it is left out.
        max_memory: bytes that exact states may take; 4 GiB where it is left out.
        engine: what computes: "hybrid", "pure-state", "branching", or an `ExactEngine` made for the
            program; None lets the cost model choose (`f.analyze(params).reason` says why).
        noise: the program is run with this noise, and the observable read with its errors; parameters of the
            noise come after those of the program. `f.program` is the noisy program.
        dtype: of amplitudes where nothing is measured, "complex128" or "complex64"; the latter takes half
            the memory and on large registers half the time, and is right to about six digits.
        threads: how many to use at most, where nothing is measured; None is one for each core. Registers of
            15 qubits or more and batches are shared by threads; their number changes no result.

    Raises:
        QdiffError: an observable that is not Hermitian, or names what the program does not declare; an
            unknown engine; noise that does not fit the program; another dtype, or complex64 for a program
            that measures; threads out of range.

    Example:
        >>> import qdiff as qd
        >>> p = qd.parse("qubit: q  para: t  Ry(t)[q]")
        >>> f = qd.expectation(p, "Z[q]")
        >>> round(f({"t": 0.5}), 6), f.grad({"t": 0.5}).round(6).tolist()
        (0.877583, [-0.479426])
    """
    if not isinstance(program, Program):
        raise QdiffError(f"Expected a Program (qd.parse, qd.load), got {type(program).__name__}.")
    max_memory = checked_memory(max_memory)
    several = isinstance(observable, list | tuple)
    given = list(observable) if isinstance(observable, list | tuple) else [observable]
    if not given:
        raise QdiffError("The list of observables is empty.")
    observables = [observable_of(program, one, qubits) for one in given]
    warn_of_last_measurements(program, observables)
    readout = None
    if noise is not None:
        program, readout = checked_noise(noise).apply(program), noise.readout or None
    engines = Engines(program, max_memory, engine, observables, dtype, threads)
    means = [Mean(one, readout) for one in observables]
    return VectorObjective(program, means, engines) if several else Objective(program, means[0], engines)


def warn_of_last_measurements(program: Program, observables: Sequence[Observable | MatrixObservable]) -> None:
    """Warn where a circuit from elsewhere measures at its end what an observable would still see."""
    if program.origin is None or not program.origin.measured_last:
        return
    seen = {
        qubit
        for one in observables
        if isinstance(one, Observable)
        for term in one.terms
        for qubit, letter in term.operators
        if letter in "XY"
    }
    for one in observables:
        if isinstance(one, MatrixObservable):
            seen |= set(one.register)
    hit = [qubit for qubit in program.qubits if qubit in seen & program.origin.measured_last]
    if hit:
        what = program.origin.what
        warnings.warn(
            f"{what[0].upper()}{what[1:]} measures {listed(hit, MOST_NAMED)} at its end, and the observable "
            "does not commute with that: what remains after the measurement is observed. Leave the "
            "measurements out with drop_final_measurements=True, or X and Y there out of the observable.",
            stacklevel=3,
        )
