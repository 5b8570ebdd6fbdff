"""A noise channel: what happens to some qubits, as a program on them.

The language has all it needs: channels, resets, and mixtures written with `flip`,

    qubit: a, b    para: p
    depolarize(p)[a]; if flip(0.01) then X[a]; Z[b] fi

so whatever runs programs runs them with this noise, too. Parameters are those of the noisy program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from qdiff.errors import QdiffError, listed
from qdiff.lang.check import check
from qdiff.lang.noise.placing import placed, without_positions
from qdiff.lang.text.names import plural
from qdiff.lang.tree import Block, Program, Skip


@dataclass(frozen=True)
class NoiseChannel:
    """What happens to qubits of a gate after it. Made by `qd.noise.channel` and its fellows.

    Attributes:
        program: its qubits stand for qubits of the gate, in declared order.
        places: which qubits of the gate, counted from 0 in the order in which the gate lists them,
            controls first. None: of a channel on one qubit, each qubit of the gate; of a channel on
            several, all of them.
        short: words or the name of a channel of the language with probabilities, where the program was
            made of them: for printing.
    """

    program: Program
    places: tuple[int, ...] | None = None
    short: tuple[tuple[str, float], ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        program = self.program
        check(program)
        if program.counter_registers:
            raise QdiffError(
                f"A noise channel has no counters, got {listed(program.counters)}: what it does is recorded "
                "nowhere. Use `flip` and `M[q] = 1` in conditions."
            )
        if program.gate_declarations:
            names = listed(gate.name for gate in program.gate_declarations)
            raise QdiffError(
                f"A noise channel declares no gates, got {names}. Use the gates of the language."
            )
        body = without_positions(program.body)
        object.__setattr__(self, "program", replace(program, body=body, source=None))

    def on(self, *places: int) -> NoiseChannel:
        """Return the channel on some qubits of the gate: on(1) is the second one that the gate lists.

        Raises:
            QdiffError: not one place for each qubit of the channel, or a place twice.
        """
        return replace(self, places=checked_places(places, len(self.program.qubits)))

    def block(self, qubits: Sequence[str], after: str) -> Block:
        """Return the statements that act on the qubits of a gate.

        Args:
            qubits: of the gate, controls first.
            after: the gate as messages show it.

        Raises:
            QdiffError: the gate has too few qubits, or it is not clear which of them are meant.
        """
        names = self.program.qubits
        if self.places is not None:
            if max(self.places) >= len(qubits):
                raise QdiffError(
                    f"The noise of {after} acts on qubit {max(self.places)} of the gate, counted from 0, and "
                    f"the gate has {plural(len(qubits), 'qubit')}."
                )
            return self._on([qubits[place] for place in self.places])
        if len(names) == 1:
            return tuple([statement for qubit in qubits for statement in self._on([qubit])])
        if len(names) != len(qubits):
            raise QdiffError(
                f"The noise of {after} acts on {len(names)} qubits, and the gate has "
                f"{plural(len(qubits), 'qubit')}. Say which ones are meant: channel.on(0, 1)."
            )
        return self._on(qubits)

    def _on(self, qubits: Sequence[str]) -> Block:
        if self.program.body == (Skip(),):
            return ()
        return placed(self.program.body, dict(zip(self.program.qubits, qubits, strict=True)))


def checked_places(places: object, width: int) -> tuple[int, ...]:
    """Return the places of a channel's qubits among those of a gate.

    Raises:
        QdiffError: not as many different whole numbers from 0 as the channel has qubits.
    """
    found = tuple(places) if isinstance(places, list | tuple) else (places,)
    whole = all(type(place) is int and place >= 0 for place in found)
    if not whole or len(set(found)) != len(found) or len(found) != width:
        raise QdiffError(
            f"A noise channel on {plural(width, 'qubit')} is put on as many different qubits of the gate, "
            f"counted from 0; got {', '.join(map(repr, found)) or 'none'}."
        )
    return found
