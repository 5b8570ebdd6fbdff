"""A circuit without measurement as plain data, for the process of a peer, which knows nothing of qdiff.

    f(w) = <0…0| U(w)† O U(w) |0…0>,   O = Σ_k c_k P_k

Qubit 0 is the first declared; Pauli strings are pairs of a qubit and a letter.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

LETTERS = ("X", "Y", "Z")

Word = tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Step:
    """A gate (`x y z h`, or `rx ry rz` by an angle in radians) where all controls are 1.

    Attributes:
        parameter: which parameter is the angle; None where `angle` is it.
    """

    name: str
    target: int
    controls: tuple[int, ...] = ()
    parameter: int | None = None
    angle: float = 0.0

    def at(self, w: Any) -> Any:
        """The angle for these parameters, of whatever kind a peer computes with."""
        return self.angle if self.parameter is None else w[self.parameter]


@dataclass(frozen=True)
class Circuit:
    """The gates, the number of parameters, and the terms (coefficient, Pauli string) of the observable."""

    qubits: int
    parameters: int
    steps: tuple[Step, ...]
    terms: tuple[tuple[float, Word], ...]

    def runs(self) -> list[tuple[Step, ...]]:
        """The gates in stretches: one-qubit gates in a row on the same qubit belong together.

        Gates on other qubits in between do not matter; everything else stands alone.
        """
        found: list[list[Step]] = []
        latest: dict[int, list[Step]] = {}
        for step in self.steps:
            run = latest.get(step.target)
            if not step.controls and run is not None:
                run.append(step)
                continue
            found.append([step])
            for qubit in (step.target, *step.controls):
                latest.pop(qubit, None)
            if not step.controls:
                latest[step.target] = found[-1]
        return [tuple(run) for run in found]

    def to_json(self) -> str:
        """One line of text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Circuit:
        """The circuit of such a line."""
        data = json.loads(text)
        steps = (Step(**{**step, "controls": tuple(step["controls"])}) for step in data.pop("steps"))
        terms = ((c, tuple((int(q), str(p)) for q, p in word)) for c, word in data.pop("terms"))
        return cls(steps=tuple(steps), terms=tuple(terms), **data)
