"""Everything that users hand in as an observable, as an `Observable`."""

from __future__ import annotations

from collections.abc import Sequence

from qdiff.errors import QdiffError, listed
from qdiff.lang.matrix_observable import MatrixObservable, is_matrix
from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program


def observable(value: object, qubits: Sequence[str] | None = None) -> Observable:
    """Return the observable of a text, of another observable, of Qiskit's `SparsePauliOp`, or of a matrix.

    Args:
        value: text such as "c * P1[r] / 10" or "Z[q]*Z[r] + 0.5*X[q]", an `Observable`, a `SparsePauliOp`
            or `Pauli`, or a Hermitian matrix, `scipy.sparse` or a NumPy array (2ᵏ, 2ᵏ).
        qubits: for Qiskit's operators and matrices, the names of the qubits they act on; the first belongs
            to the rightmost letter of a label, to the least significant bit of row and column numbers.

    Raises:
        QdiffSyntaxError: a text that is no observable.
        QdiffError: another type, `qubits` that are missing or too many, a matrix that is not Hermitian.
    """
    if is_matrix(value):
        if qubits is None:
            raise QdiffError('Say which qubits the matrix acts on: qd.observable(matrix, qubits=["q", …]).')
        return MatrixObservable(value, qubits)
    if _is_qiskit(value):
        if qubits is None:
            raise QdiffError('Say which qubits the operator acts on: qd.observable(op, qubits=["q", …]).')
        from qdiff.lang.qiskit_observable import from_sparse_pauli_op

        return from_sparse_pauli_op(value, qubits)
    if qubits is not None:
        raise QdiffError(
            "qubits= belongs to Qiskit's operators and matrices; texts and observables name their qubits."
        )
    if isinstance(value, Observable):
        return value
    if isinstance(value, str):
        from qdiff.lang.text.observable_text import parse_observable

        return parse_observable(value)
    raise QdiffError(
        "An observable is a text, an Observable (qd.Z, qd.count, …), a SparsePauliOp or a Hermitian matrix "
        f"(scipy.sparse, or a NumPy array with two axes); got {type(value).__name__}."
    )


def observable_of(program: Program, value: object, qubits: Sequence[str] | None = None) -> Observable:
    """Return an observable that a program's expectation can be taken of.

    Raises:
        QdiffError: as `observable`; also names that the program does not declare, and an operator
            that is not Hermitian.
    """
    if _is_qiskit(value) and qubits is None:
        width = getattr(value, "num_qubits", None)
        if width != len(program.qubits):
            raise QdiffError(
                f"The operator acts on {width} qubits, the program has {len(program.qubits)}: "
                f"{listed(program.qubits)}. Say which ones: qubits=[…], the first for the rightmost letter."
            )
        qubits = program.qubits
    if is_matrix(value) and qubits is None:
        qubits = program.qubits
    found = observable(value, qubits)
    check_observable(program, found)
    return found


def check_observable(program: Program, found: Observable) -> None:
    """Refuse an observable that has no real expectation after a program.

    Raises:
        QdiffError: names that the program does not declare, or declares as something else; an
            operator that is not Hermitian.
    """
    _refuse_other_kinds(found, program)
    found.check_names(program.qubits, program.counters)
    if not found.is_hermitian:
        raise QdiffError(f"The observable `{found}` is not Hermitian: its expectation is not real.")


def _refuse_other_kinds(found: Observable, program: Program) -> None:
    """Refuse a name that the program declares, but as something else."""
    arrays = {register.name for register in program.parameter_registers}
    for name in found.counters:
        if name in program.parameters or name in arrays:
            raise QdiffError(
                f"The observable `{found}` names the parameter `{name}`: it may depend on qubits and "
                "counters only. Multiply the expectation by a parameter afterwards."
            )
        if name in program.qubits:
            raise QdiffError(
                f"The observable `{found}` names the qubit `{name}` as if it were a counter. Say what is "
                f"read there: `Z[{name}]`, `P1[{name}]`, …"
            )
    for name in found.qubits:
        if name in program.counters:
            raise QdiffError(
                f"The observable `{found}` applies an operator to `{name}`, which is a counter: write "
                f"`{name}`."
            )


def _is_qiskit(value: object) -> bool:
    return type(value).__module__.partition(".")[0] == "qiskit"
