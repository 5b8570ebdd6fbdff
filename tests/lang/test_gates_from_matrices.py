"""Gates from matrices, and declarations of programs that code builds."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from random_declarations import declarations
from reference.exponentials import declared_generator

import qdiff as qd
from qdiff.errors import ProgramError, QdiffError
from qdiff.lang.check import check
from qdiff.lang.declared_gates import pauli_terms, record_of
from qdiff.lang.tree import Gate, GateDeclaration, Program, Register

RNG = np.random.default_rng(8)


def hermitian(qubits: int) -> np.ndarray:
    m = RNG.normal(size=(2**qubits, 2**qubits)) + 1j * RNG.normal(size=(2**qubits, 2**qubits))
    return m + m.conj().T


@pytest.mark.parametrize("qubits", [1, 2, 3, 6])
def test_matrices_become_text_in_full_precision(qubits: int) -> None:
    g, b = hermitian(qubits), hermitian(qubits)
    u = np.linalg.qr(b)[0]
    names = ", ".join(f"q[{i}]" for i in range(qubits))
    gates = {"G": qd.gate(generator=g), "D": qd.gate(generator=g, drift=b), "V": qd.gate(unitary=u)}
    text = f"qubit: q[{qubits}], c  para: t  G(t)[{names}]; C_D(2*t)[c][{names}]; V[{names}]"
    program = qd.parse(text, gates=gates)
    assert qd.parse(str(program)) == program
    for name, matrix in (("generator", g), ("drift", b)):
        found = getattr(program.record("D"), name)
        assert np.abs(found - matrix).max() < 1e-14 * 4**qubits
    fixed = program.record("V").fixed
    assert fixed is not None
    assert np.abs(fixed - u).max() < 1e-14
    assert program.gate_declarations[2].matrix == tuple(tuple(complex(x) + 0 for x in row) for row in u)


def test_given_gates_are_used_like_declared_ones() -> None:
    x = np.array([[0, 1], [1, 0]])
    program = qd.parse(
        "qubit: q para: t gate H2[p] = [[1, 0], [0, -1]] Turn(t)[q]; H2[q]",
        gates={"Turn": qd.gate(generator=x)},
    )
    assert [gate.name for gate in program.gate_declarations] == ["Turn", "H2"]
    f = qd.expectation(program, "Y[q]")
    assert np.isclose(f({"t": 0.7}), np.sin(0.7))
    assert np.isclose(f.grad({"t": 0.7})[0], np.cos(0.7))
    both = qd.gate(generator=2 * x, drift=np.diag([1, -1]))
    assert (both.qubits, both.generator, both.drift) == (1, ((2.0, "X"),), ((1.0, "Z"),))


@given(declarations(3))
def test_records_are_sums_of_words(gates: tuple[GateDeclaration, ...]) -> None:
    for gate in gates:
        record = record_of(gate)
        assert record_of(gate) is record
        if gate.matrix:
            assert record.fixed is not None
            assert np.allclose(record.fixed, gate.matrix, atol=1e-15)
            continue
        generator, drift = declared_generator(gate)
        assert np.allclose(record.generator, generator, atol=1e-15)
        assert np.allclose(0 if record.drift is None else record.drift, drift, atol=1e-15)
        assert pauli_terms(generator)
        assert {w for _, w in pauli_terms(generator)} == {w for _, w in gate.generator}
        assert np.allclose(record.spectrum, np.linalg.eigvalsh(generator))


TURNED = np.array([[0, 1], [1.5, 0]])
MESSAGES = [
    ({}, "A gate has a generator, with or without a drift, or else a unitary matrix."),
    ({"generator": np.eye(2), "unitary": np.eye(2)},
     "A gate has a generator, with or without a drift, or else a unitary matrix."),
    ({"unitary": np.eye(2), "drift": np.eye(2)},
     "A gate has a generator, with or without a drift, or else a unitary matrix."),
    ({"generator": TURNED},
     "The generator is not Hermitian: it differs from its adjoint by 0.5 in row 0, column 1 (from 0), where "
     "1e-12 is allowed."),
    ({"generator": np.eye(2), "drift": TURNED},
     "The drift is not Hermitian: it differs from its adjoint by 0.5 in row 0, column 1 (from 0), where "
     "1e-12 is allowed."),
    ({"unitary": TURNED}, "The matrix is not unitary: U U† differs from 1 by 1.25, where 1e-12 is allowed."),
    ({"generator": np.ones((2, 3))}, "The generator is a square matrix, got shape (2, 3)."),
    ({"unitary": [1, 2]}, "The unitary is a square matrix, got shape (2,)."),
    ({"unitary": [[1, 2], [1]]}, "The unitary is a square array of complex numbers, got [[1, 2], [1]]."),
    ({"generator": "X"}, "The generator is a square array of complex numbers, got 'X'."),
    ({"generator": np.eye(3)},
     "The generator is 3 x 3; a gate on 1 to 6 qubits has 2, 4, 8, 16, 32 or 64 rows."),
    ({"unitary": np.eye(128)},
     "The unitary is 128 x 128; a gate on 1 to 6 qubits has 2, 4, 8, 16, 32 or 64 rows."),
    ({"generator": np.diag([1, np.nan])}, "The generator has an entry that is not finite."),
    ({"generator": np.zeros((2, 2))}, "The generator is zero: the gate would not depend on its angle."),
    ({"generator": np.eye(2), "drift": np.eye(4)},
     "The generator is 2 x 2, the drift 4 x 4: both act on the same qubits, so their sizes are equal."),
    ({"generator": np.eye(2) * 1e301},
     "In the generator a coefficient is between 1e-300 and 1e300 in size, got 1e+301."),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), MESSAGES)
def test_messages_about_matrices(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        qd.gate(**arguments)  # type: ignore[arg-type]
    assert str(caught.value) == message


ONE = qd.gate(generator=np.eye(2))


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        ({"H": ONE}, "In `gates`: `H` is reserved and cannot be declared."),
        ({"SX": ONE}, "In `gates`: `SX` is a gate already."),
        ({"damp": ONE}, "In `gates`: `damp` is a channel already."),
        ({"a b": ONE}, "In `gates`: `a b` is not a name: a name is made of ASCII letters, digits and `_`."),
        ({"G": 3}, "In `gates`: `G` is made with `qd.gate(generator=…)` or `qd.gate(unitary=…)`, got 3."),
        ([ONE], "`gates` is a mapping from names to gates, got list."),
    ],
)
def test_messages_about_names(gates: object, message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        qd.parse("qubit: q H[q]", gates=gates)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_a_text_cannot_use_the_name_of_a_given_gate() -> None:
    with pytest.raises(QdiffError, match="`q` is declared twice: the gate `q` exists already"):
        qd.parse("qubit: q H[q]", gates={"q": ONE})
    with pytest.raises(QdiffError, match="gate `G` has the name of the gate `G`"):
        qd.parse("qubit: q gate G[p] = [[1, 0], [0, 1]] H[q]", gates={"G": ONE})


# --- Programs built by code --------------------------------------------------------------------------

FINE = GateDeclaration("G", "a", ("p",), ((1.0, "X"),))


def built(*gates: object, applied: str = "H") -> Program:
    body = (Gate(applied, (), (), ("q",)),)
    return Program((Register("q"),), (), (), body, gate_declarations=gates)  # type: ignore[arg-type]


def test_a_fine_one_passes() -> None:
    assert check(built(FINE, GateDeclaration("V", None, ("p",), matrix=((0j, 1 + 0j), (1 + 0j, 0j)))))


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        ((FINE, FINE), "`G` is declared twice."),
        (("G",), "expected a gate declaration, got 'G'."),
        ((GateDeclaration("q", "a", ("p",), ((1.0, "X"),)),), "`q` is declared twice."),
        ((GateDeclaration("CNOT", "a", ("p",), ((1.0, "X"),)),),
         "`CNOT` is reserved and cannot be declared."),
        ((GateDeclaration("SWAP", "a", ("p",), ((1.0, "X"),)),), "`SWAP` is a gate already."),
        ((GateDeclaration("damp", "a", ("p",), ((1.0, "X"),)),), "`damp` is a channel already."),
        ((GateDeclaration("G", "M", ("p",), ((1.0, "X"),)),), "`M` is reserved and cannot be declared."),
        ((GateDeclaration("G", "i", ("p",), ((1.0, "X"),)),), "the angle of `G` cannot be called `i`."),
        ((GateDeclaration("G", "p", ("p",), ((1.0, "X"),)),),
         "the angle and the qubits of `G` have different names, got p, p."),
        ((GateDeclaration("G", "a", ("p", "p"), ((1.0, "XX"),)),),
         "the angle and the qubits of `G` have different names, got a, p, p."),
        ((GateDeclaration("G", "a", (), ((1.0, ""),)),),
         "the declared gate `G` acts on 0 qubits; 1 to 6 are possible."),
        ((GateDeclaration("G", "a", ("p",)),),
         "the gate `G` has neither a matrix nor an angle with a generator."),
        ((GateDeclaration("G", None, ("p",), ((1.0, "X"),)),),
         "the gate `G` has neither a matrix nor an angle with a generator."),
        ((GateDeclaration("G", "a", ("p",), ((1, "X"),)),),
         "the coefficients of the gate `G` are floats, got 1."),
        ((GateDeclaration("G", "a", ("p",), ((0.0, "X"),)),),
         "in the generator of `G` a coefficient is between 1e-300 and 1e300 in size, got 0.0."),
        ((GateDeclaration("G", "a", ("p",), ((1.0, "W"),)),),
         "in the generator of `G` `W` is not a Pauli letter: I, X, Y, Z."),
        ((GateDeclaration("G", "a", ("p",), ((1.0, "X"),), ((1.0, "XX"),)),),
         "in the drift of `G` `X X` has 2 letters for 1 qubit: one letter for each qubit."),
        ((GateDeclaration("G", "a", ("p",), ((1.0, "X"), (2.0, "X"))),),
         "in the generator of `G` the word `X` stands twice."),
        ((GateDeclaration("G", "a", ("p",), matrix=((1 + 0j,),)),),
         "the gate `G` has a matrix, so it has no angle and no generator."),
        ((GateDeclaration("G", None, ("p",), matrix=((1, 0), (0, 1))),),
         "the matrix of `G` is a tuple of tuples of complex numbers."),
        ((GateDeclaration("G", None, ("p",), matrix=((1 + 0j, 0j),)),), "the matrix of `G` is not square."),
        ((GateDeclaration("G", None, ("p",), matrix=((1 + 0j,),)),),
         "the gate `G`: a matrix on 1 qubit is 2 x 2, got 1 row."),
        ((GateDeclaration("G", None, ("p",), matrix=((1 + 0j, 0j), (0j, 2 + 0j))),),
         "the gate `G`: the matrix is not unitary: U U† differs from 1 by 3, where 1e-12 is allowed."),
    ],
)  # fmt: skip
def test_messages_of_the_checker(gates: tuple[object, ...], message: str) -> None:
    with pytest.raises(ProgramError, match=f"^{re.escape(message)}$"):
        check(built(*gates))


def test_uses_are_checked_too() -> None:
    with pytest.raises(ProgramError, match=r"^there is no gate `Heis`\. Did you mean `Hei`\?$"):
        check(built(GateDeclaration("Hei", "a", ("p",), ((1.0, "X"),)), applied="Heis"))
    with pytest.raises(ProgramError, match=r"^gate `G` takes 1 angle, got 0\.$"):
        check(built(FINE, applied="G"))
