"""Random noise for random programs, as tables of `reference.noisy`."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from reference.noisy import Noise, Table

from qdiff.lang import tree as qt
from qdiff.lang.printer import gate_name
from qdiff.lang.walk import statements

STRENGTHS = (0.0, 0.1, 0.25, 0.6)


@st.composite
def tables(draw: DrawFn, width: int = 0) -> Table:
    """A channel: on one qubit, or on all of a gate of this width."""
    p = draw(st.sampled_from(STRENGTHS))
    if width > 1 and draw(st.booleans()):
        if draw(st.booleans()):
            return Table("lost", (p, width))
        words = draw(
            st.lists(st.text("IXYZ01", min_size=width, max_size=width), min_size=1, max_size=4, unique=True)
        )
        return Table("words", (tuple((word, (p + 0.2) / len(words)) for word in words),))
    on = (draw(st.integers(0, width - 1)),) if width and draw(st.booleans()) else None
    match draw(st.sampled_from(["words", "dephase", "lost", "damp"])):
        case "words":
            letters = draw(st.lists(st.sampled_from("XYZ01"), min_size=1, max_size=3, unique=True))
            return Table("words", (tuple((letter, p / len(letters)) for letter in letters),), on)
        case "dephase":
            return Table("dephase", (p,), on)
        case "lost":
            return Table("lost", (p, 1), on)
        case _:
            return Table("damp", (p, draw(st.sampled_from([0.0, 0.3, 1.0]))), on)


@st.composite
def noises(draw: DrawFn, program: qt.Program) -> Noise:
    """Noise of some of the program's gates, of all others, of resets, and of read-outs."""
    widths: dict[str, set[int]] = {}
    for statement in statements(program.body):
        if isinstance(statement, qt.Gate):
            many = len(statement.controls) + len(statement.targets)
            widths.setdefault(gate_name(statement), set()).add(many)
    gates = {}
    for name in draw(st.lists(st.sampled_from(sorted(widths)), max_size=3, unique=True)):
        [*others, width] = widths[name]
        gates[name] = draw(st.lists(tables(0 if others else width), max_size=2))
    for name in ("*", "reset"):
        if draw(st.booleans()):
            gates[name] = [draw(tables())]
    pairs = st.tuples(st.sampled_from([0.0, 0.1, 0.3]), st.sampled_from([0.0, 0.2, 0.3]))
    readout = {name: draw(pairs) for name in ("*", *program.qubits) if draw(st.booleans())}
    return Noise(gates, readout)
