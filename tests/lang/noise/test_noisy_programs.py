"""Noisy programs against noise by its definition, on random programs."""

from __future__ import annotations

import numpy as np
import pytest
from amounts import examples
from helpers import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from noise_models import noises
from reference.interpreter import expectation, run
from reference.noisy import Noise, NoisyInterpreter, Table
from reference.semantics import PassLimitReached, State
from strategies import cases, programs, values

from qdiff.lang.check import check
from qdiff.lang.noise.model import NoiseModel
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program


def without_added(program: Program, state: State) -> State:
    """A final state over the counters of the program alone: those of the noise come last."""
    kept = len(program.counters)
    merged: State = {}
    for store, rho in state.items():
        merged[store[:kept]] = merged.get(store[:kept], 0) + rho
    return {store: rho for store, rho in merged.items() if np.abs(rho).max() > 1e-13}


@settings(deadline=None, max_examples=examples(16))
@given(st.data())
def test_noisy_programs_do_what_the_definition_says(data: st.DataObject) -> None:
    program = data.draw(programs(declared=True))
    noise, params = data.draw(noises(program)), data.draw(values(program))
    noisy = noise.model().apply(program)
    try:
        expected = NoisyInterpreter(program, params, noise).run()
    except PassLimitReached:
        return  # the noise keeps a loop from ending
    expected = {store: rho for store, rho in expected.items() if np.abs(rho).max() > 1e-13}
    assert_close(without_added(program, run(noisy, params)), expected)


@settings(deadline=None, max_examples=examples(16))
@given(st.data())
def test_noisy_programs_are_programs(data: st.DataObject) -> None:
    program = data.draw(programs(declared=True))
    noisy = data.draw(noises(program)).model().apply(program)
    assert check(noisy) is noisy
    assert parse(str(noisy)) == noisy
    assert noisy.parameters == program.parameters
    assert noisy.trainable == program.trainable
    assert noisy.counters[: len(program.counters)] == program.counters


@settings(deadline=None, max_examples=examples(10))
@given(programs(declared=True))
def test_noise_of_strength_zero_changes_nothing(program: Program) -> None:
    nothing = NoiseModel({"*": [{"depolarize": 0}, {"X": 0, "Y": 0}], "reset": {"0": 0}}, (0, 0))
    assert nothing.apply(program) == program


@settings(deadline=None, max_examples=examples(10))
@given(cases(), st.data())
def test_parameters_of_strength_zero_change_nothing(case: tuple, data: st.DataObject) -> None:
    program, observable, params = case
    model = NoiseModel({"*": ["qubit: a para: eps depolarize(eps)[a]; if flip(2*eps) then X[a] fi"]})
    noisy = model.apply(program)
    assert noisy.parameters == (*program.parameters, "eps")
    before = expectation(program, observable, run(program, params))
    after = expectation(noisy, observable, run(noisy, params | {"eps": 0.0}))
    assert_close(after, before)


@settings(deadline=None, max_examples=examples(10))
@given(cases(), st.data())
def test_read_out_at_the_end(case: tuple, data: st.DataObject) -> None:
    """The observable that a model makes, against bits that are flipped with its probabilities."""
    program, observable, params = case
    noise = Noise({}, data.draw(noises(program)).readout)
    state = run(program, params)
    expected = 0.0
    for term in observable.terms:  # each term in its own bases
        for store, rho in state.items():
            counters = dict(zip(program.counters, store, strict=True))
            scale = float(np.prod([counters[name] ** power for name, power in term.counters]))
            expected += term.coefficient.real * scale * read(program, noise, dict(term.operators), rho)
    assert_close(expectation(program, noise.model().observable(observable), state), expected)


VECTORS = {
    "X": np.array([[1, 1], [1, -1]]) / np.sqrt(2),
    "Y": np.array([[1, 1j], [1, -1j]]) / np.sqrt(2),
    "Z": np.eye(2),
}
SEEN = {"X": (1, -1), "Y": (1, -1), "Z": (1, -1), "P0": (1, 0), "P1": (0, 1)}


def read(program: Program, noise: Noise, letters: dict[str, str], rho: np.ndarray) -> float:
    """Σ over outcomes and what is recorded: probability · P(v|u) · Π eigenvalue(v_i)."""
    operator = np.eye(1)
    for qubit in program.qubits:
        small = np.eye(2)
        if qubit in letters:
            letter = letters[qubit]
            basis = VECTORS[letter if letter in VECTORS else "Z"]
            pair = noise.readout.get(qubit, noise.readout.get("*", (0.0, 0.0)))
            seen = [SEEN[letter][bit] * (1 - pair[bit]) + SEEN[letter][1 - bit] * pair[bit] for bit in (0, 1)]
            small = sum(seen[bit] * np.outer(basis[bit], basis[bit].conj()) for bit in (0, 1))
        operator = np.kron(small, operator)
    return float(np.trace(operator @ rho).real)


@pytest.mark.parametrize("wrong", ["probability", "qubit", "bit"])
def test_noise_that_differs_is_seen(wrong: str) -> None:
    """A broken subject: the comparison above fails for noise that is a little different."""
    program = parse("qubit: q, r count: c H[q]; CNOT[q, r]; c := M[q, r]")
    tables = [Table("damp", (0.2, 0.0), (0,))]
    noise = Noise({"CNOT": tables}, {"q": (0.1, 0.2)})
    other = {
        "probability": Noise({"CNOT": [Table("damp", (0.21, 0.0), (0,))]}, noise.readout),
        "qubit": Noise({"CNOT": [Table("damp", (0.2, 0.0), (1,))]}, noise.readout),
        "bit": Noise({"CNOT": tables}, {"q": (0.2, 0.1)}),
    }[wrong]
    expected = NoisyInterpreter(program, {}, noise).run()
    assert_close(run(noise.model().apply(program), {}), expected)
    with pytest.raises(AssertionError):
        assert_close(run(other.model().apply(program), {}), expected)
