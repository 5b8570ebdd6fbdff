"""What a noise model may name: a gate, everywhere or on certain qubits, all other gates, resets.

    "CNOT"   "C_Ry"   "CNOT[q, r]"   "C_Ry[q][r]"   "*"   "*[q]"   "reset"   "reset[q]"

Names are those of a program's text. `C_X` stands for X with any controls, CNOT and CCNOT included; "*"
for all gates that are not named; "reset" for `q := |0>`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from qdiff.errors import QdiffError
from qdiff.lang.element_names import checked_name
from qdiff.lang.printer import gate_name
from qdiff.lang.tree import Gate

ALL = "*"
RESET = "reset"

_QUBIT = r"[A-Za-z_][A-Za-z0-9_]*(?:\[[0-9]+\])?"
_BRACKET = rf"\[\s*{_QUBIT}(?:\s*,\s*{_QUBIT})*\s*\]"
_KEY = re.compile(rf"\s*(\*|[A-Za-z_][A-Za-z0-9_]*)\s*((?:{_BRACKET}\s*){{0,2}})", re.ASCII)


@dataclass(frozen=True)
class GateKey:
    """A gate by name.

    Attributes:
        qubits: the gate on just these qubits, controls first; () for all.
    """

    name: str
    qubits: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(self.qubits)}]" if self.qubits else self.name


def gate_key(text: object) -> GateKey:
    """Return the key that a text stands for.

    Raises:
        QdiffError: it is none.
    """
    match = _KEY.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise QdiffError(
            f"Noise belongs to a gate, given as in a program without angles: `CNOT`, `CNOT[q, r]`, "
            f'`C_Ry[q][r]`; to "*", all others; or to "reset". Got {text!r}.'
        )
    qubits = tuple([checked_name(name, "qubit") for name in re.findall(_QUBIT, match[2])])
    if len(set(qubits)) != len(qubits):
        raise QdiffError(f"A qubit stands twice in `{text}`.")
    return GateKey(match[1], qubits)


def keys_of(gate: Gate) -> tuple[GateKey, ...]:
    """The keys that a gate answers to, the first found being the one that counts."""
    qubits = (*gate.controls, *gate.targets)
    names = dict.fromkeys([gate_name(gate), *([f"C_{gate.name}"] if gate.controls else []), ALL])
    return tuple([key for name in names for key in (GateKey(name, qubits), GateKey(name))])


def keys_of_reset(qubit: str) -> tuple[GateKey, ...]:
    """The keys that `qubit := |0>` answers to."""
    return GateKey(RESET, (qubit,)), GateKey(RESET)
