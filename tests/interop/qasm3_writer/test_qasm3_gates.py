"""Gates as OpenQASM 3, read again: the same state, with every number of controls."""

from __future__ import annotations

import numpy as np
import pytest
from interop.gate_programs import VALUES, declared_gates, every_gate, placed, prepared

import qdiff as qd
from qdiff.interop.qasm3_reader import from_qasm3
from qdiff.interop.qasm3_writer import to_qasm3
from qdiff.lang import tree

NAMES = {"t": "t_", "w[0]": "w_0", "w[1]": "w_1"}


def overlap(program: tree.Program, text: str) -> float:
    """tr(ρ σ) of two pure states: that of a program, and that of a text."""
    given = {NAMES[name]: value for name, value in VALUES.items()}
    states = qd.state(program, VALUES)[()], qd.state(from_qasm3(text), given)[()]
    one, other = (state.density_matrix() for state in states)
    return float(np.trace(one @ other).real)


@pytest.mark.parametrize("text", every_gate())
def test_every_gate_with_every_number_of_controls(text: str) -> None:
    program = prepared(text)
    assert abs(overlap(program, to_qasm3(program)) - 1) < 1e-12


@pytest.mark.parametrize(("text", "declaration"), declared_gates())
def test_declared_gates(text: str, declaration: str) -> None:
    program = prepared(text, declaration)
    assert abs(overlap(program, to_qasm3(program)) - 1) < 1e-9


def test_a_wrong_phase_is_told_apart() -> None:
    program = prepared(placed("U(t, 0.1, 0.2)", 2, 1))
    lines = to_qasm3(program).splitlines()
    assert any(line.startswith("cp(") for line in lines)
    wrong = "\n".join(line for line in lines if not line.startswith("cp("))
    assert overlap(program, wrong) < 1 - 1e-6


def test_definitions_stand_once_and_before_their_use() -> None:
    program = qd.parse(
        "qubit: q, r, rxx para: t Rxx(t)[q, r]; C_Rxx(2*t)[rxx][q, r]; ISWAP[q, r]; ISWAP[r, q]"
    )
    text = to_qasm3(program)
    assert text.count("gate ") == 2
    assert "rxx_2(t_) q, r;\nctrl @ rxx_2(2*t_) rxx, q, r;\niswap q, r;\niswap r, q;\n" in text


def test_a_generator_whose_words_do_not_commute_needs_a_number() -> None:
    text = "qubit: q\npara: t\ngate G(a)[x] = exp(-i a/2 * (X + Z))\nG(0.3)[q]; G(t)[q]"
    with pytest.raises(qd.QdiffError, match=r"<text>:4:12: `G\(t\)\[q\]` cannot be .* do not commute"):
        to_qasm3(qd.parse(text))
    assert "G_2" not in to_qasm3(qd.parse(text).bind(t=0.3))
    assert "G_2" in to_qasm3(qd.parse(text).bind(t=0.4))
