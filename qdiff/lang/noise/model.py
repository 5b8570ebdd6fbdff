"""The noise of a device as data: which channels follow which gates, and how outcomes are misread.

    noise = qd.NoiseModel(
        gates={"H": {"X": 0.001, "Z": 0.002}, "CNOT": [{"depolarize": 0.01}, {"ZZ": 0.005}]},
        readout=(0.02, 0.05),
    )
    noisy = noise.apply(program)

`apply` is a pass from program to program, so whatever can be done with a program can be done with a noisy
one: every engine, sampler and derivative rule, printing, writing to other languages.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from qdiff.errors import QdiffError, did_you_mean, listed
from qdiff.lang.gates import is_gate, record
from qdiff.lang.load import read_text
from qdiff.lang.noise.applying import applied
from qdiff.lang.noise.gate_keys import RESET, GateKey, gate_key
from qdiff.lang.noise.given import channel_form, channels_of
from qdiff.lang.noise.noise_channel import NoiseChannel
from qdiff.lang.noise.readout import ReadoutErrors, readout_errors
from qdiff.lang.observable import Observable
from qdiff.lang.observable_input import observable as observable_from
from qdiff.lang.text.names import plural
from qdiff.lang.tree import Program, Register

Channels: TypeAlias = tuple[NoiseChannel, ...]
PARTS = ("gates", "readout")


@dataclass(frozen=True, init=False, repr=False)
class NoiseModel:
    """Channels after gates and resets, and read-out errors. Frozen, hashable, with a canonical text.

    Args:
        gates: a gate, "CNOT" everywhere or "CNOT[q, r]" there only, to what happens after it on its
            qubits: one channel or a list. "*" stands for all gates not named, "reset" for `q := |0>`;
            an empty list for no noise. What says more comes first: "CNOT[q, r]", "CNOT", "*[q, r]", "*". A
            channel is

            * words with probabilities, {"X": 0.001} or {"XI": 0.01, "ZZ": 0.005}: see `qd.noise.pauli`;
            * a channel of the language, {"depolarize": 0.01}, on each qubit of the gate;
            * the text of a program whose qubits are those of the gate, or the program: its parameters
              become parameters of the noisy program;
            * what the functions of `qd.noise` return.

            With "on" in a mapping, {"damp": 0.1, "on": [1]}, or `.on(1)`, it acts on some of the gate's
            qubits, counted from 0, controls first.
        readout: (P(1|0), P(0|1)) for all qubits, or a mapping from qubits, arrays, or "*" for all others, to
            such pairs.

    Raises:
        QdiffError: what is no channel, no probability, no name; a channel on more qubits than a gate has.

    Example:
        >>> import qdiff as qd
        >>> noise = qd.NoiseModel(gates={"H": {"depolarize": 0.02}}, readout=(0.01, 0.03))
        >>> print(noise.apply(qd.parse("qubit: q  count: c  H[q]; c := M[q]")), end="")
        qubit: q
        count: c
        H[q];
        depolarize(0.02)[q];
        c := M[q];
        if c = 0 then
            if flip(0.01) then
                c := c + 1
            fi
        else
            if flip(0.03) then
                c := c - 1
            fi
        fi
    """

    gates: tuple[tuple[GateKey, Channels], ...]
    readout: ReadoutErrors

    def __init__(self, gates: object = None, readout: object = None) -> None:
        object.__setattr__(self, "gates", _by_gate(gates))
        object.__setattr__(self, "readout", readout_errors(readout))
        _ = self.parameters  # that channels agree on them

    # --- applying ---

    def apply(self, program: Program) -> Program:
        """Return the program with this noise; the read-out at the end of its runs is not part of it.

        * The channels of a gate follow each of its occurrences, on its qubits; those of "reset" each reset.
        * `c := M[q, r]` is followed by flips of the recorded bits.
        * A condition `M[q, r] = v` holds where v is recorded; the qubits have then collapsed to the outcome.
        * `case` takes the arm of what is recorded, kept in an added counter.
        * The noise's parameters are declared after those of the program.

        Raises:
            QdiffError: a gate or qubit that the program does not have; a channel that does not fit a gate;
                a parameter of the noise that has a name of the program.
        """
        if not isinstance(program, Program):
            raise QdiffError(f"Noise is applied to a Program, got {type(program).__name__}.")
        return applied(self, program)

    def observable(self, observable: object) -> Observable:
        """Return the observable whose expectation is the mean of `observable` read with errors.

        X, Y and Z are measured in their own basis: L → (p10 - p01) + (1 - p01 - p10) L.

        Args:
            observable: text, or `Observable`.

        Raises:
            QdiffError: what is no observable.
        """
        return self.readout.observable(observable_from(observable))

    def measured(self, program: Program) -> Program:
        """Return the program with this noise, the read-out of all qubits at its end included.

        Measuring its qubits in the Z basis gives bits as they are recorded.
        """
        return self.readout.read(self.apply(program), program.qubits)

    # --- as data ---

    def to_dict(self) -> dict[str, Any]:
        """Return the model in its canonical form, of which JSON can be made; `from_dict` reads it."""
        gates = {str(key): [channel_form(one) for one in channels] for key, channels in self.gates}
        readout = {name: [p01, p10] for name, p01, p10 in self.readout.pairs}
        return {"gates": gates, "readout": readout}

    @classmethod
    def from_dict(cls, data: object) -> NoiseModel:
        """Return the model of a mapping with the keys "gates" and "readout", both optional.

        Raises:
            QdiffError: other keys, and whatever `NoiseModel` refuses.
        """
        if not isinstance(data, Mapping):
            raise QdiffError(
                f'A noise model is a mapping {{"gates": …, "readout": …}}, got {type(data).__name__}.'
            )
        for key in data:
            if key not in PARTS:
                hint = did_you_mean(str(key), PARTS)
                raise QdiffError(f"A noise model has no {key!r}. It has: {listed(PARTS)}. {hint}".rstrip())
        return cls(**data)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> NoiseModel:
        """Return the model in a JSON file.

        Raises:
            QdiffError: there is no such file, it holds no JSON, or no noise model.
        """
        text = read_text(Path(path), "noise model")
        try:
            return cls.from_dict(json.loads(text, object_pairs_hook=_once))
        except json.JSONDecodeError as error:
            place = f"{path}:{error.lineno}:{error.colno}"
            raise QdiffError(f"{place}: the text is not JSON: {error.msg}.") from None
        except RecursionError:
            raise QdiffError(f"{path}: the text is nested too deep.") from None
        except QdiffError as error:
            raise QdiffError(f"{path}: {error}") from None

    @classmethod
    def from_aer(
        cls,
        model: object,
        qubits: Sequence[str] = (),
        gates: Mapping[str, str | None] | None = None,
    ) -> NoiseModel:
        """Return the noise model of Qiskit Aer in this form; see `qdiff.lang.noise.aer`.

        Args:
            model: a `qiskit_aer.noise.NoiseModel`, or what its `to_dict(serializable=True)` returns.
            qubits: the name of qubit i at place i, as `program.qubits`, where the model has errors of single
                qubits. Those of further qubits are left out.
            gates: the names here of instructions that the language does not know, such as those of
                declared gates; None leaves out the errors of an instruction.

        Raises:
            QdiffError: an error that the language cannot express, or of a gate that it does not know; both
                are named.
        """
        from qdiff.lang.noise.aer import from_aer

        return from_aer(model, qubits, gates or {})

    def __str__(self) -> str:
        """The model as JSON; `NoiseModel.load` reads it from a file."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def __repr__(self) -> str:
        return f"NoiseModel.from_dict({self.to_dict()!r})"

    # --- what the pass needs ---

    @cached_property
    def by_key(self) -> Mapping[GateKey, Channels]:
        """The channels of each gate."""
        return dict(self.gates)

    @cached_property
    def parameters(self) -> tuple[Register, ...]:
        """The parameters of all channels; channels that name the same one share it.

        Raises:
            QdiffError: one channel has it as a number, another as an array, or of another size.
        """
        found: dict[str, Register] = {}
        for _, channels in self.gates:
            for register in (r for one in channels for r in one.program.parameter_registers):
                if found.setdefault(register.name, register) != register:
                    raise QdiffError(
                        f"Two channels have the parameter `{register.name}`, as arrays of different sizes or "
                        "only one of them as an array."
                    )
        return tuple(found.values())


def checked_noise(given: object) -> NoiseModel:
    """Return a noise model.

    Raises:
        QdiffError: it is something else.
    """
    if isinstance(given, NoiseModel):
        return given
    raise QdiffError(
        f"noise is a qd.NoiseModel (NoiseModel.load, from_dict, from_aer), got {type(given).__name__}."
    )


def _by_gate(given: object) -> tuple[tuple[GateKey, Channels], ...]:
    if given is not None and not isinstance(given, Mapping):
        raise QdiffError(
            f"The gates of a noise model are a mapping from gates to channels, got {type(given).__name__}."
        )
    found: dict[GateKey, Channels] = {}
    for text, channels in (given or {}).items():
        key = gate_key(text)
        if key in found:
            raise QdiffError(f"The noise of `{key}` is given twice.")
        found[key] = channels_of(channels, f"`{key}`")
        _check_width(key, found[key])
    return tuple(sorted(found.items(), key=lambda pair: str(pair[0])))


def _check_width(key: GateKey, channels: Channels) -> None:
    """Refuse channels that cannot fit, where the number of the gate's qubits is known."""
    width = 1 if key.name == RESET else record(key.name).qubits if is_gate(key.name) else len(key.qubits)
    if key.qubits and len(key.qubits) != width:
        acts = f"acts on {plural(width, 'qubit')}"
        raise QdiffError(f"`{key.name}` {acts}, got {len(key.qubits)} in `{key}`.")
    if width:
        for channel in channels:
            channel.block([f"q{i}" for i in range(width)], f"`{key}`")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a JSON object in which a key stands twice: the second would silently replace the first."""
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for i, key in enumerate(keys) if key in keys[:i])
        raise QdiffError(f"the key {twice!r} stands twice in one object.")
    return found
