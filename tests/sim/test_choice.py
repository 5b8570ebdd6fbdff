"""The cost model: which engine for which program, and what it says."""

from __future__ import annotations

import math
import re

import pytest
from exact_reference import ReferenceEngine

from qdiff.errors import QdiffError, ResourceError
from qdiff.lang.text.parser import parse
from qdiff.sim.analysis import Analysis
from qdiff.sim.choice import candidates_for, choose, engine_name
from qdiff.sim.engines import Engines

MEMORY = 4 << 30
LAYERS = "for i in 0..{last} do Ry(t)[q[i]] od; " * 4
FEED_FORWARD = "c := M[q[0]]; if c = 1 then X[q[1]] fi; q[0] := |0>; Ry(t)[q[0]]; "


def program_on(qubits: int, body: str):  # type: ignore[no-untyped-def]
    return parse(
        f"qubit: q[{qubits}] para: t count: c {body.replace('{last}', str(qubits - 1)).rstrip('; ')}"
    )


@pytest.mark.parametrize(
    ("qubits", "body", "name"),
    [
        (2, LAYERS, "hybrid"),
        (16, LAYERS, "pure-state"),
        (26, LAYERS, "pure-state"),
        (4, LAYERS, "pure-state"),
        (9, LAYERS, "pure-state"),
        (4, FEED_FORWARD * 3, "hybrid"),
        (16, LAYERS + FEED_FORWARD * 6, "branching"),
        (11, LAYERS + FEED_FORWARD * 6, "branching"),
        (2, "while M[q[0]] = 1 do Ry(t)[q[0]] od", "hybrid"),
        (8, LAYERS + "while M[q[0]] = 1 do Ry(t)[q[0]] od", "hybrid"),
        (15, LAYERS + "while M[q[0]] = 1 do Ry(t)[q[0]] od", "branching"),
        (3, "while{200} M[q[0]] = 1 do " + FEED_FORWARD + "skip od", "hybrid"),
    ],
)
def test_the_engine_for_a_program(qubits: int, body: str, name: str) -> None:
    choice = choose(program_on(qubits, body), MEMORY)
    assert choice.name == name
    for candidate in choice.candidates:
        assert str(candidate) in choice.reason


def test_reasons_tell_what_was_compared() -> None:
    choice = choose(program_on(16, LAYERS), MEMORY)
    assert choice.reason == (
        "the least work of the engines whose states fit (hybrid: about 4.5e+12 operations, 256 GiB; "
        "pure-state: about 1.3e+07 operations, 2 MiB; branching: about 6.3e+07 operations, 3 MiB)"
    )
    choice = choose(program_on(15, "while M[q[0]] = 1 do Ry(t)[q[0]] od"), MEMORY)
    assert choice.reason.startswith("the only engine whose states can fit (hybrid: about ")
    assert "pure-state: the program has a measurement (line 1)" in choice.reason
    assert "branching: work unknown, 1.5 MiB or more" in choice.reason
    choice = choose(program_on(9, "while M[q[0]] = 1 do Ry(t)[q[0]] od"), MEMORY)
    assert choice.reason.startswith("the only engine sure to fit (hybrid")
    choice = choose(program_on(9, "while M[q[0]] = 1 do Ry(t)[q[0]] od"), 1 << 26)
    assert choice.reason.startswith("the likeliest engine to fit (hybrid")


def test_more_memory_may_change_the_engine() -> None:
    loop = program_on(13, "while M[q[0]] = 1 do Ry(t)[q[0]] od")
    assert choose(loop, 1 << 30).name == "branching"
    assert choose(loop, 1 << 40).name == "hybrid"


def test_where_nothing_fits() -> None:
    with pytest.raises(ResourceError) as caught:
        choose(program_on(40, "X[q[0]]; c := M[q[0]]"), MEMORY)
    assert str(caught.value) == (
        "No exact engine has room for this program on 40 qubits; the limit is 4 GiB.\n"
        "  hybrid: at least about 2^56 GiB\n"
        "  pure-state: the program has a measurement (line 1)\n"
        "  branching: at least 48 TiB\n"
        "Raise it (qd.expectation(…, max_memory=bytes)), or estimate from shots: "
        "f.estimate(params, shots=…), --shots on the command line."
    )


def test_thousands_of_qubits_are_just_large() -> None:
    with pytest.raises(ResourceError, match=r"hybrid: at least about 2\^9976 GiB"):
        choose(parse("qubit: q[5000] X[q[0]]"), MEMORY)


def test_asked_for_by_name() -> None:
    static, measured = program_on(3, LAYERS), program_on(3, FEED_FORWARD)
    for name in ("pure state", "pure-state", "Pure_State"):
        assert choose(static, MEMORY, name).name == "pure-state"
    assert choose(static, MEMORY, "hybrid").operations == candidates_for(static)[0].operations
    choice = choose(measured, MEMORY, "branching")
    assert choice.name == "branching"
    assert choice.reason.startswith("asked for by name (hybrid: about ")
    with pytest.raises(QdiffError) as caught:
        choose(measured, MEMORY, "pure-state")
    assert str(caught.value) == (
        "The pure-state engine cannot answer for this program: the program has a measurement (line 1). "
        "Engines that can: hybrid, branching."
    )
    damped = parse("qubit: q\nH[q];\ndamp(0.1)[q]")
    assert choose(damped, MEMORY).name == "hybrid"
    with pytest.raises(QdiffError) as caught:
        choose(damped, MEMORY, "branching")
    assert str(caught.value) == (
        "The branching engine cannot answer for this program: the program has the channel `damp` (line 3), "
        "which is no mixture of gates and resets. Engines that can: hybrid."
    )
    with pytest.raises(QdiffError) as caught:
        engine_name("hybird")
    assert str(caught.value) == (
        "There is no engine `hybird`. Engines: hybrid, pure-state, branching. Did you mean `hybrid`?"
    )


SIZED = (
    "qubit: q[5] para: t, p count: c Ry(t)[q[0]]; if flip(p) then X[q[1]] fi; "
    "while{3} M[q[0]] = 1 do c := c + 2; H[q[0]] od; while c < 3 do c++ od"
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Ry(t)", "Rz(2 * t + sin(p))"),
        ("flip(p)", "flip(0.001)"),
        ("X[q[1]]", "C_Rzz(0.1)[q[4]][q[1], q[2]]"),
        ("c + 2", "5 * c - 1"),
        ("c < 3", "c < 3000000"),
        ("para: t, p", "para: unused[9], p, t"),
        ("q[", "data["),
        ("c", "count_of_all"),
    ],
)
def test_costs_depend_on_sizes_only(old: str, new: str) -> None:
    """Neither on angles, probabilities and numbers nor on names."""
    whole_word = rf"\b{old}\b" if old.isalpha() else re.escape(old)
    other = re.sub(whole_word, new, SIZED)
    assert parse(other) != parse(SIZED)
    assert candidates_for(parse(other)) == candidates_for(parse(SIZED))


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("q[5]", "q[6]", {"hybrid", "pure-state", "branching"}),
        ("Ry(t)[q[0]]", "Ry(t)[q[0]]; Ry(t)[q[0]]", {"hybrid", "pure-state", "branching"}),
        ("if flip(p)", "if flip(p) or M[q[1]] = 0", {"hybrid", "branching"}),
        ("while{3}", "while{4}", {"hybrid", "pure-state", "branching"}),
        ("while{3}", "while", {"hybrid", "pure-state", "branching"}),
    ],
)
def test_costs_depend_on_sizes(old: str, new: str, changed: set[str]) -> None:
    before, after = (candidates_for(parse(text)) for text in (SIZED, SIZED.replace(old, new)))
    assert {a.name for a, b in zip(after, before, strict=True) if a != b} == changed


# --- The engines of a program ---------------------------------------------------------------------


def test_an_engine_is_made_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def make(name: str, program, max_memory: int, dtype, threads) -> ReferenceEngine:  # type: ignore[no-untyped-def]
        made.append((name, max_memory))
        return ReferenceEngine(program)

    monkeypatch.setattr("qdiff.sim.engines._make", make)
    engines = Engines(program_on(2, LAYERS), 1 << 20)
    assert engines.choice.name == "hybrid"
    assert made == []
    assert engines.chosen is engines.named("hybrid") is engines.chosen
    assert engines.named("pure-state") is not engines.chosen
    assert made == [("hybrid", 1 << 20), ("pure-state", 1 << 20)]


def test_an_engine_that_is_handed_in() -> None:
    program = program_on(2, LAYERS)
    engine = ReferenceEngine(program)
    engines = Engines(program, wanted=engine)
    assert engines.chosen is engine
    assert engines.choice.operations == math.inf
    found = engines.explained(Analysis(1, 0, 0, (), {}, 0.0, engine="?", reason="interpreted"))
    assert (found.engine, found.reason) == ("reference", "handed in as an object; interpreted")


@pytest.mark.parametrize("wanted", [3, object()])
def test_what_is_no_engine(wanted: object) -> None:
    program = program_on(2, LAYERS)
    with pytest.raises(QdiffError, match="engine= is a name or an exact engine made for this program, not"):
        Engines(program, wanted=wanted)  # type: ignore[arg-type]
    with pytest.raises(QdiffError, match=re.escape("made for this program, not <exact_reference.Ref")):
        Engines(program, wanted=ReferenceEngine(program_on(3, LAYERS)))
    with pytest.raises(QdiffError, match="There is no engine `matrix`"):
        Engines(program, wanted="matrix")
