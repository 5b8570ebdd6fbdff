"""Qiskit circuits read as programs: against brute force, Aer, and by hand."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from amounts import examples
from interop.circuit_interpreter import meaning
from interop.random_circuits import Random
from numpy.typing import NDArray
from qiskit import transpile
from qiskit.circuit import (
    CASE_DEFAULT,
    ClassicalRegister,
    Clbit,
    Parameter,
    ParameterVector,
    QuantumCircuit,
    QuantumRegister,
    Qubit,
)
from qiskit.circuit.classical import expr, types

import qdiff as qd
from qdiff.errors import ParameterError, QdiffError
from qdiff.interop.errors import ConversionError
from qdiff.interop.qiskit_reader import circuit as reader

OBSERVED = [
    *(f"{letter}[q[{i}]]" for i in range(3) for letter in "XYZ"),
    *("c[0]", "c[1]", "c[2]", "flag", "n", "n*Z[q[1]]"),
]


def brute_force(random: Random) -> NDArray[np.float64]:
    """The expectations of `OBSERVED`, from all runs of a circuit."""
    found, index = np.zeros(len(OBSERVED)), np.arange(8)
    for run in meaning(random.circuit, random.values):
        psi, values = run.psi, []
        for q in range(3):
            flipped, sign = psi[index ^ (1 << q)], 1 - 2 * (index >> q & 1)
            values += [np.vdot(psi, other).real for other in (flipped, -1j * sign * flipped, sign * psi)]
        weight = np.vdot(psi, psi).real
        memory = [run.bits[bit] for bit in random.circuit.clbits] + [run.variables[v] for v in ("flag", "n")]
        found += [*values, *(weight * m for m in memory), run.variables["n"] * values[5]]
    return found


@pytest.mark.filterwarnings("ignore:The circuit:UserWarning")
@pytest.mark.parametrize("seed", range(examples(90)))
def test_random_circuits_by_brute_force(seed: int) -> None:
    random = Random(seed)
    program = qd.from_qiskit(random.circuit)
    np.testing.assert_allclose(
        qd.expectation(program, OBSERVED)(random.values), brute_force(random), atol=1e-9
    )
    assert qd.parse(str(program)) == program


@pytest.mark.filterwarnings("ignore:The circuit:UserWarning")
def test_a_wrong_reader_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "Leave", lambda loop: reader.Assign("c[0]", reader.ex.ZERO))
    wrong = 0
    for seed in range(30):
        random = Random(seed)
        found = qd.expectation(qd.from_qiskit(random.circuit), OBSERVED)(random.values)
        wrong += bool(abs(found - brute_force(random)).max() > 1e-9)
    assert wrong


SHOTS = 2000


@pytest.mark.parametrize("seed", range(examples(30)))
def test_random_circuits_on_aer(seed: int) -> None:
    aer = pytest.importorskip("qiskit_aer")
    random = Random(seed, plain=True)
    program = qd.from_qiskit(random.circuit)
    means = qd.expectation(program, [*(f"Z[q[{i}]]" for i in range(3)), *(f"c[{i}]" for i in range(3))])
    exact = means(random.values)
    full = random.circuit.copy()
    out = ClassicalRegister(3, "out")
    full.add_register(out)
    full.measure(range(3), out)
    machine = aer.AerSimulator(seed_simulator=seed)
    bound = transpile(full.assign_parameters(random.values), machine, optimization_level=0)
    rows: list[list[int]] = []
    for key, times in machine.run(bound, shots=SHOTS).result().get_counts().items():
        last, bits = (int(part, 2) for part in key.split())
        rows += [[*(1 - 2 * (last >> i & 1) for i in range(3)), *(bits >> i & 1 for i in range(3))]] * times
    variances = np.where(np.arange(6) < 3, 1 - exact**2, exact * (1 - exact))
    error = np.sqrt(np.maximum(variances, 0) / SHOTS)
    assert (abs(np.mean(rows, axis=0) - exact) <= 5 * error + 1e-9).all()


# --- control flow, by hand ---


def text_of(circuit: QuantumCircuit) -> str:
    return str(qd.from_qiskit(circuit))


def test_a_measured_loop() -> None:
    t = Parameter("t")
    circuit = QuantumCircuit(1, 1)
    circuit.ry(t, 0)
    circuit.measure(0, 0)
    with circuit.while_loop((circuit.clbits[0], 1)):
        circuit.ry(t, 0)
        circuit.measure(0, 0)
    assert text_of(circuit) == str(
        qd.parse(
            "qubit: q[1] para: t count: c[1] Ry(t)[q[0]]; c[0] := M[q[0]];"
            "while c[0] = 1 do Ry(t)[q[0]]; c[0] := M[q[0]] od"
        )
    )


def test_break_and_continue_become_a_counter() -> None:
    circuit = QuantumCircuit(1, 2)
    with circuit.while_loop((circuit.clbits[0], 0)):
        circuit.h(0)
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[1], 1)):
            circuit.break_loop()
        circuit.measure(0, 1)
        with circuit.if_test((circuit.clbits[1], 0)):
            circuit.continue_loop()
        circuit.x(0)
    assert text_of(circuit) == str(
        qd.parse(
            "qubit: q[1] count: c[2], leave leave := 0;"
            "while leave != 2 and c[0] = 0 do leave := 0; H[q[0]]; c[0] := M[q[0]];"
            "if c[1] = 1 then leave := 2 fi; if leave = 0 then c[1] := M[q[0]];"
            "if c[1] = 0 then leave := 1 fi; if leave = 0 then X[q[0]] fi fi od"
        )
    )


def test_a_for_loop_is_unrolled_with_its_parameter() -> None:
    circuit = QuantumCircuit(1)
    with circuit.for_loop((2, 0, -1)) as i:
        circuit.rx(i / 2, 0)
    assert text_of(circuit) == str(qd.parse("qubit: q[1] Rx(1)[q[0]]; Rx(0)[q[0]]; Rx(-0.5)[q[0]]"))


def test_a_long_for_loop_is_counted() -> None:
    circuit = QuantumCircuit(1)
    with circuit.for_loop(range(5, 200_005, 2)) as i:
        circuit.rx(0.5 * i, 0)
    assert text_of(circuit) == str(
        qd.parse("qubit: q[1] count: k k := 0; while k < 100000 do Rx(0.5*(5 + 2*k))[q[0]]; k := k + 1 od")
    )


def test_a_for_loop_that_is_left() -> None:
    circuit = QuantumCircuit(1, 1)
    with circuit.for_loop(range(3)):
        circuit.h(0)
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.break_loop()
    f = qd.expectation(qd.from_qiskit(circuit), "c[0]")
    assert f({}) == pytest.approx(1 - 0.5**3)


@pytest.mark.parametrize("labels", [range(3), range(12)])
def test_a_switch_asks_once(labels: range) -> None:
    """Arms that change the target do not lead to another arm."""
    circuit = QuantumCircuit(1)
    n = circuit.add_var("n", expr.lift(0, types.Uint(8)))
    with circuit.switch(n) as case:
        for label in labels:
            with case(label):
                circuit.store(n, expr.lift(label + 1, types.Uint(8)))
        with case(case.DEFAULT):
            circuit.store(n, expr.lift(100, types.Uint(8)))
    assert qd.expectation(qd.from_qiskit(circuit), "n")({}) == 1


def test_registers_are_integers_and_are_stored_as_a_whole() -> None:
    circuit = QuantumCircuit(QuantumRegister(3, "q"), ClassicalRegister(3, "c"))
    circuit.x([0, 2])
    circuit.measure([0, 1, 2], [0, 1, 2])
    circuit.store(circuit.cregs[0], expr.add(expr.lift(circuit.cregs[0]), expr.lift(6, types.Uint(3))))
    with circuit.if_test((circuit.cregs[0], 3)):
        circuit.x(1)
    found = qd.expectation(qd.from_qiskit(circuit), ["c[0]", "c[1]", "c[2]", "P1[q[1]]"])({})
    assert found.tolist() == [1, 1, 0, 1]  # 5 + 6 = 3 modulo 8


# --- names and parameters ---


def test_names_are_mapped_and_stay_known() -> None:
    theta, phi = Parameter("θ"), ParameterVector("ϕ₁", 2)
    circuit = QuantumCircuit(1)
    circuit.ry(theta, 0)
    circuit.rx(phi[0] * phi[1], 0)
    program = qd.from_qiskit(circuit)
    assert program.parameters == ("theta", "phi1[0]", "phi1[1]")
    f = qd.expectation(program, "Z[q[0]]")
    expected = f({"theta": 0.3, "phi1": [0.4, 0.5]})
    for params in (
        {theta: 0.3, phi: [0.4, 0.5]},
        {"θ": 0.3, "ϕ₁": [0.4, 0.5]},
        {theta: 0.3, phi[0]: 0.4, "ϕ₁[1]": 0.5},
        [0.3, 0.4, 0.5],
    ):
        assert f(params) == expected
    assert f.grad([0.3, 0.4, 0.5], wrt=theta) == f.grad([0.3, 0.4, 0.5])[:1]
    assert f.grad([0.3, 0.4, 0.5], wrt=["ϕ₁[1]", phi[0]]).tolist() == f.grad([0.3, 0.4, 0.5])[[2, 1]].tolist()
    assert f.batch_value({"θ": [0.3, 0.3], phi: [0.4, 0.5]}).tolist() == [expected] * 2
    assert program.bind({theta: 0.3}).parameters == ("phi1[0]", "phi1[1]")
    result = qd.minimize(f, {theta: 0.3, phi: [0.4, 0.5]}, wrt=theta, steps=2)
    assert result.value < expected
    with pytest.raises(ParameterError, match="`theta` is given twice, the second time as 'θ'"):
        f({theta: 0.3, "θ": 0.3, phi: [0.4, 0.5]})
    with pytest.raises(ParameterError, match="no value for phi1"):
        f({theta: 0.3})


def test_parameters_are_in_the_order_of_the_circuit() -> None:
    circuit, w = QuantumCircuit(1), ParameterVector("w", 12)
    for element in reversed(list(w)):
        circuit.rx(element, 0)
    circuit.rx(Parameter("a"), 0)
    program = qd.from_qiskit(circuit)
    assert program.parameters == ("a", *(f"w[{i}]" for i in range(12)))
    assert program.trainable == program.parameters


def test_a_vector_that_occurs_in_part() -> None:
    circuit, w = QuantumCircuit(1), ParameterVector("w", 3)
    circuit.rx(w[0] + 2 * w[2], 0)
    program = qd.from_qiskit(circuit)
    f = qd.expectation(program, "Z[q[0]]")
    assert (
        f({w[0]: 0.1, w[2]: 0.2})
        == f({"w[0]": 0.1, "w[2]": 0.2})
        == f([0.1, 0.2])
        == pytest.approx(np.cos(0.5))
    )


def test_names_that_clash_or_are_reserved() -> None:
    circuit = QuantumCircuit(QuantumRegister(1, "M"), ClassicalRegister(1, "if"))
    parameters = [Parameter(name) for name in ("a+b", "a-b", "a_b", "x", "1", "日")]
    for parameter in parameters:
        circuit.rx(parameter, 0)
    program = qd.from_qiskit(circuit)
    assert program.qubits == ("M_[0]",)
    assert program.counters == ("if_[0]",)
    assert sorted(program.parameters) == ["a_b", "a_b_2", "a_b_3", "t", "t1", "x"]
    f = qd.expectation(program, "Z[M_[0]]")
    values = {p: 0.1 * (i + 1) for i, p in enumerate(parameters)}
    assert f(values) == pytest.approx(np.cos(2.1))
    assert f({p.name: value for p, value in values.items()}) == pytest.approx(np.cos(2.1))


def test_loose_bits_and_bits_in_two_registers() -> None:
    loose = QuantumCircuit([Qubit(), Qubit()], [Clbit()])
    loose.x(1)
    loose.measure(1, 0)
    assert qd.expectation(qd.from_qiskit(loose), "bits[0]*P1[qubits[1]]")({}) == 1
    first = ClassicalRegister(2, "first")
    second = ClassicalRegister(name="second", bits=[first[1], Clbit()])
    both = QuantumCircuit(QuantumRegister(1, "q"), first, second)
    both.x(0)
    both.measure(0, second[0])
    with both.if_test((second, 1)):
        both.x(0)
    program = qd.from_qiskit(both)
    assert program.counters == ("first[0]", "first[1]", "second[0]")
    assert qd.expectation(program, "first[1]*P0[q[0]]")({}) == 1


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda t: 2 * t + 1, "2*t + 1"),
        (lambda t: t / 4 - np.pi / 8, "0.25*t - pi/8"),
        (lambda t: t * t, "t^2"),
        (lambda t: t.exp() + t.sin(), "exp(t) + sin(t)"),
        (lambda t: t - t + 0.5, "0.5"),
        (lambda t: t.abs(), "abs(t)"),
    ],
)
def test_expressions_of_parameters(make: Any, text: str) -> None:
    circuit = QuantumCircuit(1)
    circuit.rx(make(Parameter("t")), 0)
    angle = qd.from_qiskit(circuit).body[0].angles[0]  # type: ignore[union-attr]
    wanted = qd.parse(f"qubit: q para: t Rx({text})[q]").body[0].angles[0]  # type: ignore[union-attr]
    for value in (0.3, 1.7):
        assert angle.evaluate({"t": value}) == pytest.approx(wanted.evaluate({"t": value}), abs=1e-15)
    assert len(str(angle)) <= len(text) + 2


# --- measurements at the end ---


def measured() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def test_measurements_at_the_end_are_kept_with_a_warning_where_it_matters() -> None:
    program = qd.from_qiskit(measured())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert qd.expectation(program, "Z[q[0]]*Z[q[1]]")({}) == pytest.approx(1)
    with pytest.warns(UserWarning, match=r"measures q\[0\], q\[1\] at its end.*drop_final_measurements=True"):
        assert qd.expectation(program, "X[q[0]]*X[q[1]]")({}) == pytest.approx(0)
    with pytest.warns(UserWarning, match=r"measures q\[1\] at its end"):
        qd.expectation(program, "Y[q[1]]")
    dropped = qd.from_qiskit(measured(), drop_final_measurements=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert qd.expectation(dropped, "X[q[0]]*X[q[1]]")({}) == pytest.approx(1)


def test_measurements_that_something_follows_are_not_at_the_end() -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    circuit.store(expr.lift(circuit.clbits[0]), expr.logic_not(circuit.clbits[0]))
    program = qd.from_qiskit(circuit, drop_final_measurements=True)
    assert qd.expectation(program, "c[0]*P0[q[0]]")({}) == pytest.approx(0.5)


# --- what is refused ---


def of_store() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 3)
    circuit.h(0)
    with circuit.if_test((0, 1)):
        circuit.store(expr.index(expr.lift(circuit.cregs[0]), expr.lift(circuit.cregs[0])), expr.lift(True))
    return circuit


def of_sign() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("t").sign(), 0)
    return circuit


def of_many() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    with circuit.for_loop(list(range(2_000))), circuit.for_loop(list(range(2_000))):
        circuit.x(0)
    return circuit


def of_variable(kind: types.Type, value: Any) -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    circuit.add_var("x", expr.lift(value, kind))
    return circuit


def of_input() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    circuit.add_input("x", types.Bool())
    return circuit


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            of_store,
            "Instruction 1.0, `store`, cannot be expressed: it stores at an index that is not",
        ),
        (of_sign, "Instruction 0, `rx`, cannot be expressed: the expression `sign(t)`"),
        (of_many, "Instruction 0, `for_loop`, cannot be expressed: it is more than 1000000 instructions"),
        (
            lambda: of_variable(types.Uint(64), 1),
            "the variable `x` has 64 bits; counters hold integers of",
        ),
        (lambda: of_variable(types.Float(), 1.0), "the variable `x` is a Float(); Bool and Uint can be read"),
        (of_input, "The circuit has input variables without a value: x. Give them values with `add_var"),
        (lambda: QuantumCircuit(0), "The circuit has no qubits."),
        (lambda: 7, "Expected a qiskit.QuantumCircuit, got int."),
    ],
)
def test_what_cannot_be_read(make: Any, message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        qd.from_qiskit(make())
    assert message in str(caught.value)


def test_an_error_inside_blocks_names_the_place_once() -> None:
    with pytest.raises(ConversionError) as caught:
        qd.from_qiskit(of_store())
    assert str(caught.value).count("Instruction") == 1


def test_default_cases_are_those_of_qiskit() -> None:
    circuit, body = QuantumCircuit(1, 1), QuantumCircuit(1, 1)
    body.x(0)
    circuit.switch(circuit.clbits[0], [(CASE_DEFAULT, body)], [0], [0])
    assert qd.expectation(qd.from_qiskit(circuit), "P1[q[0]]")({}) == 1
