"""OpenQASM 3 texts as programs.

    text ─ parser: tokens, grammar, build, precedence ─► syntax ─ reader ─► Program

`from_qasm3` is the door. `scope` says what names stand for. `classical` evaluates expressions, with
`arithmetic`, `functions`, `coercions` and `convert`. `gates` reads gates, and `operations` are gates with
their modifiers.
Statements are read by one class in layers: `storing`, `declarations`, `statements`, `control`, `loops`,
`routines`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qdiff.lang.tree import Program


def from_qasm3(text: str, name: str = "<text>") -> Program:
    """Return the program that an OpenQASM 3 text describes.

    Qubits keep their order, and so do inputs (`input float`, `input angle`), which are the parameters; an
    `input array[float, n]` is an array, of `angle` too. An `input int` stands in conditions and as the last
    value of a `for` only. Bits are counters 0 and 1;
    integers of w bits are computed modulo 2^w, those without a width exactly, where overflow is an error when
    the program runs. `float` values are exact expressions. `for` over constants is unrolled, subroutines and
    gates are written out. Global phases count under controls, where `U` is exp(iθ/2) times the `U` here.
    Names that are no ASCII identifiers are mapped (θ to theta); the original can be used wherever values are
    given. A text of OpenQASM 2 is read by Qiskit's importer.

    Args:
        text: the text; `include "stdgates.inc"` is built in, and no file is read.
        name: what messages call it, such as a file name.

    Raises:
        QdiffSyntaxError: the text is wrong, or holds what is not read (`extern`, pulses, arrays, complex
            numbers, durations): says where.
        QdiffError: it cannot be expressed.

    Source: OpenQASM 3 Live Specification, https://openqasm.com.
    """
    from qdiff.interop.qasm3_reader.reader import from_text

    return from_text(text, name)
