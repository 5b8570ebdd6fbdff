"""Qulacs: a circuit with parameters and its `backprop`.

    python -m benchmarks.peers.static.qulacs

Its rotations turn the other way, by -θ. Ways: the value, and `backprop` besides, which runs forward twice; or
`backprop_inner_product` from O|ψ>, which spares one of the runs.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.peers.static.circuit import Circuit
from benchmarks.peers.static.serve import Ready, Way, looped, serve


def version() -> str:
    """The version of Qulacs."""
    import qulacs

    return str(qulacs.__version__)


def built(circuit: Circuit) -> tuple[Any, list[tuple[int, float]]]:
    """The circuit, and for each of its parameters which one of ours it is."""
    from qulacs import ParametricQuantumCircuit

    made, which = ParametricQuantumCircuit(circuit.qubits), []
    for step in circuit.steps:
        if step.controls:
            if step.name != "x" or len(step.controls) > 1:
                raise NotImplementedError(f"{step.name} with {len(step.controls)} controls")
            made.add_CNOT_gate(step.controls[0], step.target)
        elif step.parameter is not None:
            getattr(made, f"add_parametric_{step.name.upper()}_gate")(step.target, 0.0)
            which.append(step.parameter)
        elif step.name[0] == "r":
            getattr(made, f"add_{step.name.upper()}_gate")(step.target, -step.angle)
        else:
            getattr(made, f"add_{step.name.upper()}_gate")(step.target)
    return made, which


def observable(circuit: Circuit) -> Any:
    """The sum of Pauli strings."""
    from qulacs import Observable

    made = Observable(circuit.qubits)
    for coefficient, word in circuit.terms:
        made.add_operator(coefficient, " ".join(f"{letter} {qubit}" for qubit, letter in word))
    return made


def compiled(circuit: Circuit, *, inner: bool) -> Ready:
    """Value and gradient."""
    from qulacs import QuantumState
    from qulacs.state import inner_product

    made, which = built(circuit)
    seen = observable(circuit)
    psi, applied, work = (QuantumState(circuit.qubits) for _ in range(3))
    plain = which == list(range(circuit.parameters))

    def call(w: list[float]) -> tuple[Any, Any]:
        for place, parameter in enumerate(which):
            made.set_parameter(place, w[parameter])
        psi.set_zero_state()
        made.update_quantum_state(psi)
        if inner:
            seen.apply_to_state(work, psi, applied)
            value = inner_product(psi, applied).real
            slopes = 2 * np.array(made.backprop_inner_product(applied))  # of <φ|ψ> with φ held
        else:
            value = seen.get_expectation_value(psi)
            slopes = made.backprop(seen)
        if plain:
            return value, np.negative(slopes)
        gradient = np.zeros(circuit.parameters)
        np.subtract.at(gradient, which, slopes)
        return value, gradient

    return Ready(call, lambda w: (-w).tolist())


WAYS: dict[str, Way] = {
    "expectation and backprop": partial(compiled, inner=False),
    "backprop_inner_product": partial(compiled, inner=True),
}
BATCH: dict[str, Way] = {f"{name}, one by one": looped(way) for name, way in WAYS.items()}

if __name__ == "__main__":
    serve(version, {**WAYS, **BATCH})
