"""Channels by name: what they do, and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from helpers import assert_close
from reference.interpreter import run
from reference.noisy import Table

from qdiff.errors import QdiffError, QdiffSyntaxError
from qdiff.lang import noise
from qdiff.lang.noise.noise_channel import NoiseChannel
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program, Register


def choi(channel: NoiseChannel) -> np.ndarray:
    """The state that the channel makes of pairs (|00> + |11>)/√2, its own qubits first: (4ᵏ, 4ᵏ)."""
    k = len(channel.program.qubits)
    pairs = parse(f"qubit: x[{k}], y[{k}] " + "; ".join(f"H[y[{i}]]; CNOT[y[{i}], x[{i}]]" for i in range(k)))
    body = (*pairs.body, *channel.block(pairs.qubits[:k], "nothing"))
    return run(Program(pairs.qubit_registers, (), (), body), {})[()]


def by_hand(kraus: Sequence[np.ndarray]) -> np.ndarray:
    """Σ_k (K_k on the first half) |pairs⟩⟨pairs| (…)†."""
    size = len(kraus[0])
    pairs = np.eye(size).reshape(-1) / math.sqrt(size)  # Σ_i |i⟩_y |i⟩_x
    total = np.zeros((size**2, size**2), dtype=complex)
    for operator in kraus:
        vector = np.kron(np.eye(size), operator) @ pairs
        total += np.outer(vector, vector.conj())
    return total


WORDS = (("XI", 0.1), ("ZY", 0.2), ("01", 0.05), ("1X", 0.15))


@pytest.mark.parametrize(
    "table",
    [
        Table("dephase", (0.3,)),
        Table("lost", (0.3, 1)),
        Table("lost", (0.3, 2)),
        Table("lost", (1.0, 2)),
        Table("damp", (0.3, 0.0)),
        Table("damp", (0.3, 1.0)),
        Table("damp", (0.3, 0.25)),
        Table("damp", (0.0, 0.25)),
        Table("words", ((("X", 0.1), ("Y", 0.2), ("Z", 0.3)),)),
        Table("words", ((("0", 0.4), ("1", 0.6)),)),
        Table("words", ((("X", 0.5), ("Z", 0.45)),)),
        Table("words", (WORDS,)),
        Table("words", ((*WORDS, ("ZZ", 0.5)),)),
    ],
    ids=lambda table: f"{table.kind}-{table.numbers}"[:40],
)
def test_channels_are_their_kraus_operators(table: Table) -> None:
    assert_close(choi(table.channel()), by_hand(table.kraus()))


def test_the_short_ones() -> None:
    assert noise.bit_flip(0.1) == noise.pauli({"X": 0.1})
    assert noise.reset(0.1, 0.2) == noise.pauli({"0": 0.1, "1": 0.2})
    assert noise.pauli({"II": 0.9, "XX": 0.1}) == noise.pauli({"XX": 0.1})
    assert str(noise.reset(0.1).program) == "qubit: a\nif flip(0.1) then\n    a := |0>\nfi\n"
    assert str(noise.depolarize(0.1, 2).program) == (
        "qubit: a, b\nif flip(0.1) then\n    depolarize(1)[a];\n    depolarize(1)[b]\nfi\n"
    )


@pytest.mark.parametrize("excited", [0, 0.2, 1])
@pytest.mark.parametrize(("t1", "t2"), [(50, 30), (50, 50), (50, 100), (math.inf, 20), (math.inf, math.inf)])
def test_thermal_relaxation(t1: float, t2: float, excited: float) -> None:
    """exp(-time/T1) for populations, exp(-time/T2) for coherences."""
    populations, coherences = math.exp(-7 / t1), math.exp(-7 / t2)
    rho = choi(noise.thermal_relaxation(t1, t2, 7, excited)) * 2  # blocks: the images of |i⟩⟨j|
    up = excited * (1 - populations)
    down = (1 - excited) * (1 - populations)
    expected = np.zeros((4, 4))
    expected[:2, :2] = np.diag([1 - up, up])
    expected[2:, 2:] = np.diag([down, 1 - down])
    expected[0, 3] = expected[3, 0] = coherences
    assert_close(rho, expected)


def test_thermal_relaxation_at_the_limit() -> None:
    """T2 = 2 T1 is damping alone, whatever rounding makes of the exponents."""
    for t1 in range(1, 200):
        for time in (0.1, 0.3, 0.7):
            channel = noise.thermal_relaxation(t1 / 7, 2 * (t1 / 7), time)
            assert len(channel.program.body) == 1 or channel.program.body[1].probability.value < 1e-15


def test_rare_noise_asks_once() -> None:
    """The first flip says whether anything happens; the words behind it are found in about log2 steps."""
    channel = noise.pauli(dict.fromkeys(("XX", "YY", "ZZ", "XI", "IX", "YI", "IY", "ZI"), 0.001))
    [outer] = channel.program.body
    assert str(outer.condition.probability) == "0.008"
    assert outer.otherwise == ()
    assert str(channel.program).count("flip") == 8
    assert max(len(line) - len(line.lstrip()) for line in str(channel.program).splitlines()) == 4 * 4


def test_a_program_is_a_channel() -> None:
    text = "qubit: a, b para: p if flip(p) then X[a]; abort fi; while M[b] = 1 do H[b] od"
    channel = noise.channel(text)
    assert channel == noise.channel(parse(text)) == noise.channel(str(channel.program))
    assert channel.program.source is None
    assert all(statement.pos is None for statement in channel.program.body)
    assert channel.program.body[0].condition.probability.pos is None
    assert channel.on(2, 0).block(("q", "r", "s"), "") == (
        parse("qubit: q, r, s para: p if flip(p) then X[s]; abort fi; while M[q] = 1 do H[q] od").body
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: noise.dephase(1.2), "The probability of `dephase` is 1.2, outside [0, 1]."),
        (lambda: noise.damp(-0.1), "The probability of `damp` is -0.1, outside [0, 1]."),
        (lambda: noise.damp(0.1, 2), "The probability that damping ends in |1> is 2.0, outside [0, 1]."),
        (lambda: noise.depolarize("p"), "The probability of `depolarize` is str 'p', not a real number."),
        (lambda: noise.depolarize(math.nan), "The probability of `depolarize` is nan, not a finite number."),
        (lambda: noise.depolarize(0.1, 0), "`depolarize` acts on 1 to 10 qubits, got 0."),
        (lambda: noise.bit_flip(True), "The probability of `X` is bool True, not a real number."),
        (
            lambda: noise.pauli({"XX": 0.5, "ZZ": 0.6}),
            "The probabilities of XX, ZZ add up to 1.1, more than 1.",
        ),
        (
            lambda: noise.pauli({"XX": 0.5, "Z": 0.1}),
            "The words of one channel have the same length, got XX, Z.",
        ),
        (
            lambda: noise.pauli({"XA": 0.5}),
            "A word has 1 to 10 of the letters I X Y Z 0 1, one for each qubit; got 'XA'.",
        ),
        (
            lambda: noise.pauli({}),
            'Words with their probabilities look like {"XI": 0.01, "ZZ": 0.005}, got {}.',
        ),
        (
            lambda: noise.thermal_relaxation(10, 21, 1),
            "T2 is at most 2 T1 in thermal relaxation, got T1 = 10 and T2 = 21.",
        ),
        (
            lambda: noise.thermal_relaxation(0, 1, 1),
            "`t1` of thermal relaxation is a time above 0, got 0.",
        ),
        (
            lambda: noise.thermal_relaxation(1, 1, math.inf),
            "`time` of thermal relaxation is a time from 0, got inf.",
        ),
        (
            lambda: noise.channel("qubit: q count: c c := M[q]"),
            "A noise channel has no counters, got c: what it does is recorded nowhere. Use `flip` and "
            "`M[q] = 1` in conditions.",
        ),
        (
            lambda: noise.channel("qubit: q gate G[a] = [[1, 0], [0, 1]] G[q]"),
            "A noise channel declares no gates, got G. Use the gates of the language.",
        ),
        (lambda: noise.channel(3), "A noise channel is a program or its text, got int."),
        (
            lambda: noise.dephase(0.1).on(0, 1),
            "A noise channel on 1 qubit is put on as many different qubits of the gate, counted from 0; got "
            "0, 1.",
        ),
        (
            lambda: noise.depolarize(0.1, 2).on(1, 1),
            "A noise channel on 2 qubits is put on as many different qubits of the gate, counted from 0; "
            "got 1, 1.",
        ),
        (
            lambda: noise.dephase(0.1).on(-1),
            "A noise channel on 1 qubit is put on as many different qubits of the gate, counted from 0; got "
            "-1.",
        ),
    ],
)
def test_what_is_no_channel(call, message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        call()
    assert str(caught.value) == message


def test_texts_that_are_no_programs_are_shown() -> None:
    with pytest.raises(QdiffSyntaxError, match="<noise channel>:1:10: there is no gate or procedure `Q`"):
        noise.channel("qubit: q Q[q]")


def test_programs_built_by_code_are_checked() -> None:
    with pytest.raises(QdiffError, match="the program has no statements"):
        noise.channel(Program((Register("q"),), (), (), ()))
