"""Programs from and to other languages: Qiskit circuits and OpenQASM 3.

    circuits, texts ─► values, structured ─► Program ─► explicit ─► circuits, texts

What those languages have in common is here: classical memory of bits and of integers of some width
(`values`), loops that are left in the middle (`structured`), names that are no identifiers (`names`), and
programs in which conditions read classical memory only (`explicit`).
"""

from typing import Any

from qdiff.lang.formats import EXPORT, exporters, readers, writers
from qdiff.lang.tree import Program

# What these need, Qiskit above all, is loaded when they are called.


def _read_qasm(text: str, name: str) -> Program:
    from qdiff.interop.qasm3_reader import from_qasm3

    return from_qasm3(text, name)


def _to_qiskit(program: Program, params: object, **options: Any) -> Any:
    from qdiff.interop.qiskit_writer import to_qiskit

    return to_qiskit(program, params, **options)


def _qiskit_text(program: Program) -> str:
    from qdiff.interop.qiskit_writer import qiskit_text

    return qiskit_text(program)


def _to_qasm3(program: Program) -> str:
    from qdiff.interop.qasm3_writer import to_qasm3

    return to_qasm3(program)


readers.register(".qasm", _read_qasm)
writers.register("qiskit", _qiskit_text)
writers.register("qasm3", _to_qasm3)
exporters.register(f"{EXPORT}qiskit", _to_qiskit)
