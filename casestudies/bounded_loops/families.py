"""Programs of three families, in the bounded-loop artifact's syntax: networks, eigensolvers, optimisers.

    QNN    rotations about Z, X, Z of every qubit, then XX couplings of every pair
    VQE    rotations about X, Z, an entangling ladder of H and CNOT, rotations about Z, X, Z
    QAOA   exp(-i t/2 ZZ) on every edge of a ring (CNOT, Z, CNOT), then rotations about X

A layer is made of one such block. Layers follow one another in branches (`if`) or in nested loops
(`while`), each on qubits of its own where the program is medium or large. Some gates of a layer share
the parameter t1, the others have their own.

Written from the description in section 8.2 of Zhu, Hung, Chakrabarti and Wu, "On the principles of
differentiable quantum programming languages", PLDI 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, count, pairwise

Gate = tuple[str, tuple[int, ...], bool | None]  # name, qubits, whether it shares t1 (None: no angle)
PASSES = 2


def qnn(qubits: range, couplings: int) -> Iterator[Gate]:
    """The first qubit's rotations and the first `couplings` couplings of neighbours share t1."""
    for letter in "ZXZ":
        for q in qubits:
            yield letter, (q,), q == qubits[0]
    neighbours = list(pairwise(qubits))[:couplings]
    for pair in combinations(qubits, 2):
        yield "XX", pair, pair in neighbours


def vqe(qubits: range, rotations: tuple[tuple[int, int], ...]) -> Iterator[Gate]:
    """`rotations` lists those that share t1: (which qubit, which of its five rotations)."""
    sharing = {(qubits[i], step) for i, step in rotations}
    for step, letter in enumerate("XZ"):
        for q in qubits:
            yield letter, (q,), (q, step) in sharing
    for a, b in pairwise(qubits):
        yield from (("H", (a,), None), ("CNOT", (a, b), None), ("H", (b,), None), ("CNOT", (b, a), None))
    for step, letter in enumerate("ZXZ", start=2):
        for q in qubits:
            yield letter, (q,), (q, step) in sharing


def qaoa(qubits: range) -> Iterator[Gate]:
    """All edges share t1."""
    for a, b in [*pairwise(qubits), (qubits[-1], qubits[0])]:
        yield from (("CNOT", (a, b), None), ("Z", (b,), True), ("CNOT", (a, b), None))
    for q in qubits:
        yield "X", (q,), False


@dataclass(frozen=True)
class Size:
    """How large the layers of a program are, and how many there are."""

    qubits: int  # of a layer
    layers: int
    block: Callable[[range], Iterator[Gate]]


FIRST = tuple((0, step) for step in range(5))

SIZES: dict[str, dict[str, Size]] = {
    "QNN": {
        "small": Size(4, 2, lambda qubits: qnn(qubits, 2)),
        "medium": Size(6, 3, lambda qubits: qnn(qubits, 5)),
        "large": Size(6, 6, lambda qubits: qnn(qubits, 5)),
    },
    "VQE": {
        "small": Size(2, 2, lambda qubits: vqe(qubits, ((0, 0), (0, 2)))),
        "medium": Size(4, 3, lambda qubits: vqe(qubits, FIRST)),
        "large": Size(8, 5, lambda qubits: vqe(qubits, (*FIRST, (4, 2), (4, 3), (4, 4)))),
    },
    "QAOA": {
        "small": Size(3, 2, qaoa),
        "medium": Size(6, 3, qaoa),
        "large": Size(6, 6, qaoa),
    },
}


class Writer:
    """Writes blocks; every gate that shares no parameter has the next one of its own."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.own = count(2)

    def block(self, layer: int, most: int | None = None) -> str:
        """Return the block of one layer; at most `most` gates share t1."""
        width = self.size.qubits
        shared = 0
        lines: list[str] = []
        for name, qubits, shares in self.size.block(range(layer * width + 1, (layer + 1) * width + 1)):
            angle = ""
            if shares is not None:
                shares = shares and (most is None or shared < most)
                shared += shares
                angle = "t1" if shares else f"t{next(self.own)}"
            lines.append(f"{name}({angle})[{','.join(f'q{q}' for q in qubits)}]")
        return ";\n".join(lines)


def program(family: str, variant: str) -> str:
    """Return the text of a program, such as `program("QNN", "medium_while")`."""
    scale, _, form = variant.rpartition("_")
    small = not scale
    size = SIZES[family][scale or "small"]
    writer = Writer(size)
    layers = [0] * size.layers if small else list(range(size.layers))
    match form:
        case "basic":
            parts = [writer.block(0, most=1)]
        case "shared":
            parts = [writer.block(0)]
        case "if":
            parts = [writer.block(0)]
            for i, layer in enumerate(layers[1:], start=1):
                then, otherwise = writer.block(layer), writer.block(layer)
                parts.append(f"case M[q{i}] = 0 then\n{then}\nelse\n{otherwise}\nend")
        case "while":
            text = writer.block(layers[-1])
            for i, layer in reversed(list(enumerate(layers[:-1], start=1))):
                text = f"{writer.block(layer)};\nwhile{{{PASSES}}} M[q{i}] = 1 do\n{text}\nod"
            parts = [text]
        case _:
            raise ValueError(f"there is no variant `{variant}`")
    qubits = size.qubits if small else size.qubits * size.layers
    return ";\n".join([*(f"q{q + 1} := |0>" for q in range(qubits)), *parts]) + "\n"
