"""Noise channels by their familiar names.

Each returns a `NoiseChannel`. Probabilities are numbers; for noise with parameters write the channel as
a program, `channel("qubit: q  para: p  depolarize(p)[q]")`. Source of the formulas: Nielsen and Chuang,
"Quantum Computation and Quantum Information", 8.3; thermal relaxation: the same, 7.7.4 and 8.3.5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from qdiff.errors import QdiffError, did_you_mean
from qdiff.lang.channels import is_channel, known_channels
from qdiff.lang.expr import Expr, number
from qdiff.lang.noise.noise_channel import NoiseChannel
from qdiff.lang.parameter_values import ValueProblem, real_number
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Block, Channel, Flip, Gate, If, Program, Register, Reset, Skip, Statement

SLACK = 1e-9  # a sum of probabilities may exceed 1 by this much, from rounding
SAME = 1e-15  # weights that differ by less, relative to 1, are one
LETTERS = "IXYZ01"
PLACES = "abcdefghij"  # the qubits of the programs that are made here
LARGEST_WORD = len(PLACES)


def channel(text: str | Program) -> NoiseChannel:
    """Return a program, or the text of one, as a noise channel.

    Args:
        text: its qubits stand for those of the gate, its parameters join those of the noisy program.

    Raises:
        QdiffSyntaxError: a text that is no program.
        QdiffError: a program with counters or declared gates.
    """
    program = parse(text, "<noise channel>") if isinstance(text, str) else text
    if not isinstance(program, Program):
        raise QdiffError(f"A noise channel is a program or its text, got {type(program).__name__}.")
    return NoiseChannel(program)


def standard(name: str, p: object) -> NoiseChannel:
    """Return a channel of the language, `dephase`, `depolarize` or `damp`, with this probability.

    Raises:
        QdiffError: there is no such channel, or p is no probability.
    """
    if not is_channel(name):
        hint = did_you_mean(name, known_channels())
        raise QdiffError(f"There is no channel `{name}`. {hint}".rstrip())
    p = probability(p, f"of `{name}`")
    return made(1, _channel(name, p, 0), [(name, p)])


def dephase(p: float) -> NoiseChannel:
    """Z with probability p: ρ → (1-p) ρ + p ZρZ. The same as phase flip."""
    return standard("dephase", p)


def depolarize(p: float, qubits: int = 1) -> NoiseChannel:
    """All n qubits are lost with probability p: ρ → (1-p) ρ + p I/2ⁿ ⊗ tr ρ. Aer's `depolarizing_error`.

    Each Pauli word but the identity acts with probability p/4ⁿ; up to p = 1 here.
    """
    p = probability(p, "of `depolarize`")
    if type(qubits) is not int or not 1 <= qubits <= LARGEST_WORD:
        raise QdiffError(f"`depolarize` acts on 1 to {LARGEST_WORD} qubits, got {qubits!r}.")
    if qubits == 1:
        return standard("depolarize", p)
    lost = tuple([statement for i in range(qubits) for statement in _channel("depolarize", 1, i)])
    return made(qubits, mixture([(p, lost)]))


def damp(p: float, excited: float = 0) -> NoiseChannel:
    """Amplitude damping by p towards |0>, or |1> with probability `excited`.

    The populations of |1> and |0> change by p (1 - excited) and p·excited, coherences by √(1-p).
    """
    p, excited = probability(p, "of `damp`"), probability(excited, "that damping ends in |1>")
    if not p or not excited:
        return standard("damp", p)
    down = _channel("damp", p, 0)
    up: Block = (_flip(0), *down, _flip(0))
    if excited == 1:
        return made(1, up)
    return made(1, (If(Flip(_number(excited)), up, down),))


def pauli(words: Mapping[str, float]) -> NoiseChannel:
    """Words with their probabilities; with what is left of 1 nothing happens.

    Args:
        words: as many letters as the channel has qubits, the first for the first qubit that the gate
            lists (Qiskit's labels are the other way round). I X Y Z are Pauli operators, 0 and 1 put the
            qubit into |0> and |1>: {"X": 0.01, "Z": 0.02}, {"XI": 0.01, "ZZ": 0.005}, {"0": 0.1}.

    Raises:
        QdiffError: letters or lengths that do not fit, probabilities outside [0, 1] or above 1 together.
    """
    if not isinstance(words, Mapping) or not words:
        raise QdiffError(
            f'Words with their probabilities look like {{"XI": 0.01, "ZZ": 0.005}}, got {words!r}.'
        )
    weights = {_checked_word(word): probability(p, f"of `{word}`") for word, p in words.items()}
    widths = {len(word) for word in weights}
    if len(widths) > 1:
        raise QdiffError(f"The words of one channel have the same length, got {', '.join(weights)}.")
    total = math.fsum(weights.values())
    if total > 1 + SLACK:
        raise QdiffError(f"The probabilities of {', '.join(weights)} add up to {total:.12g}, more than 1.")
    acting = {word: p for word, p in weights.items() if p and set(word) != {"I"}}
    body = mixture([(p, word_block(word)) for word, p in acting.items()])
    return made(widths.pop(), body, list((acting or weights).items()))


def bit_flip(p: float) -> NoiseChannel:
    """X with probability p."""
    return pauli({"X": p})


def reset(p0: float, p1: float = 0) -> NoiseChannel:
    """|0> in place of the qubit's state with probability p0, |1> with p1. Aer's `reset_error`."""
    return pauli({"0": p0, "1": p1})


def thermal_relaxation(t1: float, t2: float, time: float, excited: float = 0) -> NoiseChannel:
    """What a qubit undergoes in a time: populations relax with T1, coherences with T2.

    `damp(1 - exp(-time/T1), excited)`, then `dephase(p)` with 1 - 2p = exp(-time/T2 + time/(2 T1)).

    Args:
        t1, t2, time: in one unit, t2 ≤ 2 t1; t1 and t2 may be inf.
        excited: the population of |1> in equilibrium.

    Raises:
        QdiffError: times that are not positive (`time` may be 0), t2 above 2 t1.
    """
    for name, value, least in (("t1", t1, "above 0"), ("t2", t2, "above 0"), ("time", time, "from 0")):
        wrong = isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0
        if wrong or (least == "above 0" and value == 0) or (name == "time" and math.isinf(value)):
            raise QdiffError(f"`{name}` of thermal relaxation is a time {least}, got {value!r}.")
    if t2 > 2 * t1:
        raise QdiffError(f"T2 is at most 2 T1 in thermal relaxation, got T1 = {t1!r} and T2 = {t2!r}.")
    damped = damp(-math.expm1(-time / t1), excited)
    turned = -math.expm1(-time / t2 + time / (2 * t1)) / 2
    return sequence([damped, dephase(max(turned, 0.0))])  # below 0 from rounding where T2 = 2 T1


# --- Building blocks ----------------------------------------------------------------------------


def sequence(channels: Sequence[NoiseChannel]) -> NoiseChannel:
    """Return channels on the same qubits one after the other; their programs are made here."""
    body = [s for one in channels for s in one.program.body if not isinstance(s, Skip)]
    return made(len(channels[0].program.qubits), tuple(body))


def mixture(choices: Sequence[tuple[float, Block]]) -> Block:
    """Return statements that run one of some blocks with these probabilities, or else nothing.

    The first `flip` asks whether anything happens at all, the others which half of what is left it is:
    conditional probabilities, about log2 of them on the way to a block.
    """
    choices = [choice for choice in choices if choice[0] > 0]
    if not choices:
        return ()
    total = math.fsum(p for p, _ in choices)
    chosen = _chosen(sorted(choices, key=lambda choice: -choice[0]))
    return chosen if total >= 1 - SAME else (If(Flip(_number(total)), chosen),)


def _chosen(choices: Sequence[tuple[float, Block]]) -> Block:
    """One of the blocks, for certain; the probable ones near the root."""
    if len(choices) == 1:
        return choices[0][1]
    total, before, size = math.fsum(p for p, _ in choices), choices[0][0], 1
    while size < len(choices) - 1 and before + choices[size][0] <= total / 2:
        before += choices[size][0]
        size += 1
    first, others = _chosen(choices[:size]), _chosen(choices[size:])
    return (If(Flip(_number(before / total)), first, others),)


def word_block(word: str) -> Block:
    """Return the statements of a word of letters I X Y Z 0 1, on the first of PLACES"""
    out: list[Statement] = []
    for i, letter in enumerate(word):
        if letter in "01":
            out.append(Reset(PLACES[i]))
        if letter in "XYZ1":
            out.append(Gate("X" if letter == "1" else letter, (), (), (PLACES[i],)))
    return tuple(out)


def made(qubits: int, body: Block, short: Sequence[tuple[str, float]] = ()) -> NoiseChannel:
    """Return the channel on the first of PLACES with this body; nothing is a body, too."""
    registers = tuple(map(Register, PLACES[:qubits]))
    return NoiseChannel(Program(registers, (), (), body or (Skip(),)), short=tuple(short))


def _channel(name: str, p: float, i: int) -> Block:
    return (Channel(name, _number(p), (PLACES[i],)),) if p else ()


def _flip(i: int) -> Gate:
    return Gate("X", (), (), (PLACES[i],))


def _number(value: float) -> Expr:
    return number(min(value, 1.0))


def _checked_word(word: object) -> str:
    if not isinstance(word, str) or not word or set(word) - set(LETTERS) or len(word) > LARGEST_WORD:
        raise QdiffError(
            f"A word has 1 to {LARGEST_WORD} of the letters I X Y Z 0 1, one for each qubit; got {word!r}."
        )
    return word


def probability(value: object, what: str) -> float:
    """Return a probability.

    Raises:
        QdiffError: it is no number in [0, 1]; `what` says what of.
    """
    try:
        found = float(real_number(value))
    except ValueProblem as problem:
        raise QdiffError(f"The probability {what} {problem}.") from None
    if not 0 <= found <= 1:
        raise QdiffError(f"The probability {what} is {found!r}, outside [0, 1].")
    return found
