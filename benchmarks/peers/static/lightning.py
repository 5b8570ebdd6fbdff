"""PennyLane-Lightning: `lightning.qubit` with its adjoint method in C++.

    python -m benchmarks.peers.static.lightning

Ways: a QNode differentiated by autograd, as users write it; a tape handed to the device; the classes below
the device (final state, measurement, adjoint Jacobian), which spare most of PennyLane's Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.static.circuit import Circuit
from benchmarks.peers.static.pennylane import apply, observable
from benchmarks.peers.static.serve import Floats, Ready, Way, looped, serve


def version() -> str:
    """The version of PennyLane-Lightning."""
    from importlib.metadata import version as installed

    import pennylane_lightning  # noqa: F401 (missing is said by its name)

    return installed("pennylane_lightning")


def qnode(circuit: Circuit) -> Ready:
    """A QNode and `qml.grad`, whose forward pass is the value."""
    import pennylane as qml
    from pennylane import numpy as pnp

    seen = observable(circuit)

    @qml.qnode(qml.device("lightning.qubit", wires=circuit.qubits), diff_method="adjoint")
    def value(w: Any) -> Any:
        apply(circuit, w)
        return qml.expval(seen)

    gradient = qml.grad(value)

    def call(w: Any) -> tuple[Any, Any]:
        slopes = gradient(w)
        return gradient.forward, slopes

    def take(w: Floats) -> Any:
        return pnp.array(w, requires_grad=True)

    return Ready(call, take)


def tape(circuit: Circuit) -> Any:
    """The circuit with all parameters 0, all of them trainable."""
    import pennylane as qml

    with qml.queuing.AnnotatedQueue() as queue:
        apply(circuit, np.zeros(circuit.parameters))
        qml.expval(observable(circuit))
    found = qml.tape.QuantumScript.from_queue(queue)
    found.trainable_params = list(range(circuit.parameters))
    return found


def device(circuit: Circuit) -> Ready:
    """`execute_and_compute_derivatives` of the device."""
    import pennylane as qml
    from pennylane.devices import ExecutionConfig

    made = qml.device("lightning.qubit", wires=circuit.qubits)
    written, which = tape(circuit), list(range(circuit.parameters))
    config = ExecutionConfig(gradient_method="adjoint", use_device_gradient=True)
    config = made.setup_execution_config(config)

    def call(w: Any) -> tuple[Any, Any]:
        (value,), (slopes,) = made.execute_and_compute_derivatives(
            [written.bind_new_parameters(w, which)], config
        )
        return value, slopes

    return Ready(call)


def classes(circuit: Circuit) -> Ready:
    """The final state, what it measures, and the adjoint Jacobian from it."""
    from pennylane_lightning.lightning_qubit._adjoint_jacobian import LightningAdjointJacobian
    from pennylane_lightning.lightning_qubit._measurements import LightningMeasurements
    from pennylane_lightning.lightning_qubit._state_vector import LightningStateVector

    state = LightningStateVector(circuit.qubits, dtype=np.complex128)
    written, which = tape(circuit), list(range(circuit.parameters))

    def call(w: Any) -> tuple[Any, Any]:
        bound = written.bind_new_parameters(w, which)
        state.reset_state()
        final = state.get_final_state(bound)
        value = LightningMeasurements(final).measure_final_state(bound)
        return value, LightningAdjointJacobian(final).calculate_jacobian(bound)

    return Ready(call)


WAYS: dict[str, Way] = {"QNode": qnode, "tape": device, "classes below the device": classes}
BATCH: dict[str, Way] = {f"{name}, one by one": looped(way) for name, way in WAYS.items()}

if __name__ == "__main__":
    serve(version, {**WAYS, **BATCH})
