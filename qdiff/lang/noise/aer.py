"""Noise models of Qiskit Aer as noise models here.

Read from the dictionary that Aer's `NoiseModel.to_dict(serializable=True)` returns, so Aer itself is not
imported. Its names become those of the language (`cx` is CNOT), its numbered qubits get names, and the
letters of its Pauli labels are reversed: in Qiskit the rightmost one belongs to the first qubit. Errors of
single qubits take the place of those of all qubits there, as in Aer. How one error becomes channels:
`aer_errors`. Source: the documentation of `qiskit_aer.noise`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from qdiff.errors import QdiffError
from qdiff.lang.element_names import checked_name
from qdiff.lang.gates import is_gate, known_gates, record
from qdiff.lang.noise.aer_errors import Inexpressible, channels_of_error
from qdiff.lang.noise.gate_keys import RESET, GateKey
from qdiff.lang.noise.noise_channel import NoiseChannel

if TYPE_CHECKING:
    from qdiff.lang.noise.model import NoiseModel

ALSO = {"u1": "P", "u3": "U", "cu1": "C_P", "cu3": "C_U", "reset": RESET}


def from_aer(model: object, qubits: Sequence[str], gates: Mapping[str, str | None]) -> NoiseModel:
    """Return the model; see `NoiseModel.from_aer`."""
    from qdiff.lang.noise.model import NoiseModel

    names = _Names(tuple([checked_name(name, "qubit") for name in qubits]), gates)
    noise: dict[str, tuple[NoiseChannel, ...]] = {}
    readout: dict[str, tuple[float, float]] = {}
    for error in _errors(model):
        if error.get("type") == "roerror":
            for where in names.places(error, "measure"):
                readout[where[0] if where else "*"] = _pair(error)
            continue
        for instruction in error["operations"]:
            gate = names.gate(instruction)
            if gate is None:
                continue
            try:
                channels = channels_of_error(error["instructions"], error["probabilities"], _width(gate))
            except Inexpressible as problem:
                raise QdiffError(
                    f"The error of Aer's `{instruction}` cannot be expressed: {problem} "
                    f"Leave it out with gates={{{instruction!r}: None}}."
                ) from None
            for where in names.places(error, instruction):
                noise[str(GateKey(gate, where))] = channels
    return NoiseModel(noise, readout)


def _errors(model: object) -> list[dict[str, Any]]:
    """The errors of a model, or of its dictionary.

    Raises:
        QdiffError: it is neither; it has passes that add noise by other rules.
    """
    for rule in getattr(model, "_custom_noise_passes", ()):
        # What `NoiseModel.from_backend` adds acts on delays only, which the language does not have.
        if {kind.__name__ for kind in getattr(rule, "_ops", ())} != {"Delay"}:
            raise QdiffError(f"Aer's noise pass `{type(rule).__name__}` cannot be expressed.")
    data: Any = model if isinstance(model, Mapping) else None
    if data is None and hasattr(model, "to_dict"):
        data = model.to_dict(serializable=True)
    if not isinstance(data, Mapping) or not isinstance(data.get("errors"), list):
        raise QdiffError(
            "Expected a noise model of Qiskit Aer, or what its to_dict(serializable=True) returns; got "
            f"{type(model).__name__}."
        )
    return list(data["errors"])


class _Names:
    """The names here of Aer's instructions and numbered qubits."""

    def __init__(self, qubits: tuple[str, ...], gates: Mapping[str, str | None]) -> None:
        self.qubits = qubits
        self.given = gates

    def gate(self, instruction: str) -> str | None:
        """The key of an instruction; None where its errors are left out."""
        if instruction in self.given:
            return self.given[instruction]
        if instruction not in _gates():
            raise QdiffError(
                f"The noise model has an error of Aer's `{instruction}`, which is no gate of the language. "
                f"Say its name here, or leave it out: gates={{{instruction!r}: None}}."
            )
        return _gates()[instruction]

    def places(self, error: Mapping[str, Any], instruction: str) -> Iterator[tuple[str, ...]]:
        """Yield the qubits of an error by name, () for all; those without a name are passed over."""
        numbered = error.get("gate_qubits")
        if numbered is None:
            yield ()
            return
        if not self.qubits:
            raise QdiffError(
                f"The noise model has errors of `{instruction}` on single qubits: give their names, that of "
                "qubit 0 first, as in qubits=program.qubits."
            )
        for numbers in numbered:
            if max(numbers) < len(self.qubits):
                yield tuple([self.qubits[number] for number in numbers])


def _width(gate: str) -> int:
    """The number of qubits of a gate, 0 where the name does not say."""
    return 1 if gate == RESET else record(gate).qubits if is_gate(gate) else 0


@cache
def _gates() -> dict[str, str]:
    """Aer's names of the language's gates; `c` in front is one control more."""
    entries = [record(name) for name in known_gates()]
    plain = {entry.qiskit: entry.name for entry in entries if entry.qiskit}
    base = {entry.qiskit: entry.name for entry in entries if entry.qiskit and not entry.controls}
    controlled = {f"c{name}": f"C_{gate}" for name, gate in base.items()}
    return controlled | plain | {"ccz": "C_Z", **ALSO}


def _pair(error: Mapping[str, Any]) -> tuple[float, float]:
    """(P(1|0), P(0|1)) of a read-out error."""
    rows = error["probabilities"]
    if len(rows) != 2:
        raise QdiffError(
            f"A read-out error of {len(rows).bit_length() - 1} qubits together cannot be expressed: here "
            "each qubit is misread on its own."
        )
    return float(rows[0][1]), float(rows[1][0])
