"""One error of Qiskit Aer as channels: a mixture of circuits, turned into statements.

    E(ρ) = Σ_i p_i C_i(ρ),   C_i a circuit of gates, Pauli words, resets and Kraus operators

Where the mixture is one of independent instructions, one after the other, each becomes a channel of its
own: `depolarizing_error` followed by `thermal_relaxation_error` on either qubit is three channels, not 144
circuits. What acts on one qubit is recognised by its map (`one_qubit`), whatever it is written with.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from qdiff.lang.channels import LOWERED
from qdiff.lang.expr import number
from qdiff.lang.gates import PAULI, GateRecord, Matrix, known_gates, record
from qdiff.lang.noise.channels import PLACES, dephase, depolarize, made, mixture, pauli, word_block
from qdiff.lang.noise.noise_channel import NoiseChannel
from qdiff.lang.noise.one_qubit import Transfer, recognised, transfer, unitary_statement
from qdiff.lang.noise.placing import placed
from qdiff.lang.text.names import plural
from qdiff.lang.tree import Block, Gate, Skip, Statement

Instruction: TypeAlias = Mapping[str, Any]
Circuit: TypeAlias = Sequence[Instruction]
Mixed: TypeAlias = list[tuple[float, Circuit]]

ROUNDING = 1e-9  # two ways to compute one probability differ by less
LETTERS = {"id": "I", "x": "X", "y": "Y", "z": "Z"}
# The letter of what comes first (row) and then (column); Pauli operators up to a phase.
THEN = {
    **{(first, then): then for first in "IXYZ01" for then in "01"},
    **{("I", then): then for then in "IXYZ"},
    **{(first, "I"): first for first in "XYZ01"},
    **{(p, p): "I" for p in "XYZ"},
    **{(p, q): r for p, q, r in itertools.permutations("XYZ")},
    **{("0", "X"): "1", ("0", "Y"): "1", ("0", "Z"): "0", ("1", "X"): "0", ("1", "Y"): "0", ("1", "Z"): "1"},
}


class Inexpressible(Exception):
    """What in an error the language has no statements for."""


def channels_of_error(
    circuits: Sequence[Circuit], probabilities: Sequence[float], width: int = 0
) -> tuple[NoiseChannel, ...]:
    """Return the channels of an error, one after the other.

    Args:
        circuits: as in Aer's dictionaries; qubits are counted from 0, as the gate lists them.
        probabilities: of the circuits.
        width: the number of the gate's qubits, 0 where it is unknown: what acts on all of them needs no
            places.

    Raises:
        Inexpressible: says what it is.
    """
    mixed = [(float(p), circuit) for p, circuit in zip(probabilities, circuits, strict=True) if p > 0]
    parts = [mixed] if len(_qubits(mixed)) == 1 and _simple(mixed) else _independent(mixed)
    found: list[NoiseChannel] = []
    for part in parts:
        qubits = _qubits(part)
        channel = (_simple(part) or _general(part)) if qubits else None
        if channel is not None and channel.program.body != (Skip(),):
            found.append(channel if qubits == list(range(width)) else channel.on(*qubits))
    return tuple(found)


def _simple(mixed: Mixed) -> NoiseChannel | None:
    """A mixture of words, or a map of one qubit that is recognised; None where it is neither."""
    qubits = _qubits(mixed)
    words = [_word(circuit, qubits) for _, circuit in mixed]
    weights: dict[str, float] = {}
    for word, (p, _) in zip(words, mixed, strict=True):
        if word is not None:
            weights[word] = weights.get(word, 0.0) + p
    if None not in words and not set("01") & set("".join(weights)):
        return _of_words(weights, len(qubits))  # probabilities stay as they were given
    found = recognised(_matrix(mixed)) if len(qubits) == 1 else None
    return _of_words(weights, len(qubits)) if found is None and None not in words else found


def _general(mixed: Mixed) -> NoiseChannel:
    """A mixture of circuits."""
    qubits = _qubits(mixed)
    blocks = [(p, _block(circuit, qubits)) for p, circuit in mixed]
    return made(len(qubits), mixture([(p, block) for p, block in blocks if block]))


def _qubits(mixed: Mixed) -> list[int]:
    return sorted({qubit for _, circuit in mixed for one in circuit for qubit in one["qubits"]})


def _of_words(weights: dict[str, float], qubits: int) -> NoiseChannel:
    """A mixture of words; lost qubits where all Pauli words have one weight."""
    acting = {word: p for word, p in weights.items() if set(word) != {"I"}}
    if set(acting) == {"Z"}:
        return dephase(acting["Z"])
    every = ["".join(letters) for letters in itertools.product("IXYZ", repeat=qubits)][1:]
    if set(acting) == set(every):
        p = 4**qubits * acting[every[0]]
        if p <= 1 and all(abs(4**qubits * weight - p) <= ROUNDING * p for weight in acting.values()):
            return depolarize(p, qubits)
    return pauli(acting or {"I" * qubits: 1.0})


def _independent(mixed: Mixed) -> list[Mixed]:
    """A mixture of independent instructions as one mixture for each; the whole where it is none."""
    lengths = {len(circuit) for _, circuit in mixed}
    if len(lengths) > 1 or lengths == {1}:
        return [mixed]
    joint: dict[tuple[str, ...], float] = {}
    for p, circuit in mixed:
        key = tuple([json.dumps(one, sort_keys=True) for one in circuit])
        joint[key] = joint.get(key, 0.0) + p
    places = range(lengths.pop())
    single: list[dict[str, float]] = [{} for _ in places]
    for key, p in joint.items():
        for part, instruction in zip(single, key, strict=True):
            part[instruction] = part.get(instruction, 0.0) + p
    if math.prod(map(len, single)) != len(joint):
        return [mixed]
    for key in itertools.product(*single):
        expected = math.prod(part[instruction] for part, instruction in zip(single, key, strict=True))
        if abs(joint.get(key, 0.0) - expected) > ROUNDING * expected:
            return [mixed]
    return [[(p, [json.loads(instruction)]) for instruction, p in part.items()] for part in single]


# --- Instructions -------------------------------------------------------------------------------


def _word(circuit: Circuit, qubits: Sequence[int]) -> str | None:
    """The word that a circuit of Pauli operators and resets amounts to, up to a phase."""
    letters = dict.fromkeys(qubits, "I")
    for one in circuit:
        then = _letters(one)
        if then is None:
            return None
        for qubit, letter in zip(one["qubits"], then, strict=True):
            letters[qubit] = THEN[letters[qubit], letter]
    return "".join(letters.values())


def _letters(instruction: Instruction) -> str | None:
    """The letters of a Pauli operator or a reset, the first for its first qubit."""
    match instruction["name"]:
        case "pauli":
            return str(instruction["params"][0])[::-1]
        case "reset":
            return "0" * len(instruction["qubits"])
        case name:
            return LETTERS.get(name)


def _block(circuit: Circuit, qubits: Sequence[int]) -> Block:
    """The statements of a circuit."""
    out: list[Statement] = []
    for one in circuit:
        names = [PLACES[qubits.index(qubit)] for qubit in one["qubits"]]
        letters = _letters(one)
        if letters is not None:
            out += placed(word_block(letters), dict(zip(PLACES, names, strict=False)))
        elif one["name"] == "unitary" and len(names) == 1:
            out.append(unitary_statement(_matrices(one)[0], names[0]))
        elif one["name"] == "kraus" and len(names) == 1:
            found = recognised(_matrix([(1.0, [one])]))
            if found is None:
                raise Inexpressible(
                    "the Kraus map of one qubit is no mixture of Pauli operators and no damping."
                )
            out += () if found.program.body == (Skip(),) else placed(found.program.body, {"a": names[0]})
        else:
            out.append(_gate(one, names))
    return tuple(out)


def _gate(instruction: Instruction, names: Sequence[str]) -> Gate:
    name = instruction["name"]
    entry = _gates().get(name)
    if entry is None:
        raise Inexpressible(f"it holds `{name}` on {plural(len(names), 'qubit')}.")
    angles = tuple([number(float(angle)) for angle in instruction.get("params", ())])
    controls, targets = names[: entry.controls], names[entry.controls :]
    return Gate(entry.base or entry.name, angles, tuple(controls), tuple(targets))


@cache
def _gates() -> dict[str, GateRecord]:
    entries = [record(name) for name in known_gates()]
    return {entry.qiskit: entry for entry in entries if entry.qiskit}


# --- What acts on one qubit ---------------------------------------------------------------------


def _matrix(mixed: Mixed) -> Transfer:
    """The Pauli transfer matrix of circuits on one qubit."""
    total = np.zeros((4, 4))
    for p, circuit in mixed:
        product = np.eye(4)
        for one in circuit:
            product = transfer(_operators(one)) @ product
        total += p * product
    return total


def _operators(instruction: Instruction) -> list[Matrix]:
    """Kraus operators of an instruction on one qubit."""
    match instruction["name"]:
        case "kraus" | "unitary":
            return _matrices(instruction)
        case "reset":
            return [np.array([[1, 0], [0, 0]], dtype=complex), LOWERED]
        case "pauli":
            return [PAULI[instruction["params"][0]]]
        case name:
            if name not in _gates():
                raise Inexpressible(f"it holds `{name}` on 1 qubit.")
            return [_gates()[name].matrix(*map(float, instruction.get("params", ())))]


def _matrices(instruction: Instruction) -> list[Matrix]:
    """Matrices as Aer writes them: rows of pairs (real part, imaginary part)."""
    return [np.asarray(rows)[..., 0] + 1j * np.asarray(rows)[..., 1] for rows in instruction["params"]]
