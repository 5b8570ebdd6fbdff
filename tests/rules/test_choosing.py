"""Rules chosen by name: of gates with controls, of declared gates, of channels and `flip`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from rules.kinds import PROGRAM, Subject, subjects

import qdiff as qd
from qdiff.errors import QdiffError
from qdiff.lang.channels import channel_record
from qdiff.lang.gates import record
from qdiff.lang.tree import Gate
from qdiff.rules import ChannelKind, FlipKind, GateKind, applicable, choose, kind, names, rules, select


def controls_of(subject: Subject) -> int:
    return len(subject.primitive.controls) if isinstance(subject.primitive, Gate) else 0


@pytest.mark.parametrize("subject", subjects(), ids=str)
def test_every_kind_is_found_by_name(subject: Subject) -> None:
    controls = controls_of(subject)
    found = kind(subject.kind.name, controls=controls or None, program=PROGRAM)
    assert (type(found), repr(found)) == (type(subject.kind), repr(subject.kind))
    assert kind(subject.kind) is subject.kind
    name = subject.kind.name.removeprefix("C_")
    for cost in ("shots", "qubits"):
        by_name = choose(name, cost, controls=controls or None, program=PROGRAM)
        assert by_name is choose(subject.kind, cost)
    assert applicable(name, controls=controls, program=PROGRAM) == applicable(subject.kind)
    assert select("shift", name, controls=controls, program=PROGRAM) is select("shift", subject.kind)


def test_the_cheapest_costs_least() -> None:
    for subject in subjects():
        some = applicable(subject.kind)
        assert choose(subject.kind).l1(subject.kind) <= min(r.l1(subject.kind) for r in some) + 1e-9
        fewest = choose(subject.kind, "qubits").ancillas(subject.kind)
        assert fewest == min(rule.ancillas(subject.kind) for rule in some)


@pytest.mark.parametrize("scale", ["1e300", "1e-300"])
def test_generators_of_any_size_have_a_cheapest_rule(scale: str) -> None:
    """What is about equal is decided relative to the least L1."""
    program = qd.parse(f"qubit: q gate G(a)[x] = exp(-i a/2 * ({scale}*X)) skip")
    for rule in (choose("G", program=program), select("shift", "G", program=program)):
        assert rule.name == "two-term"


def test_names_as_they_are_written() -> None:
    assert choose("Ry").name == choose("R_XZY").name == choose("C_P").name == "two-term"
    assert (
        choose("C_Ry").name
        == choose("C_Ry", controls=3).name
        == choose("Ry", controls=1).name
        == "equidistant"
    )
    assert [choose(name).name for name in ("flip", "dephase", "depolarize", "damp")] == [
        "flip", "mixture", "mixture", "damping",
    ]  # fmt: skip
    assert kind("C_Ry") == GateKind(record("Ry"), 1)
    assert kind("flip") == FlipKind()
    assert kind("damp", controls=0) == ChannelKind(channel_record("damp"))
    assert [repr(kind("Ry", controls=n)) for n in range(3)] == [
        "<gate Ry>",
        "<gate C_Ry>",
        "<gate C_Ry, 2 controls>",
    ]
    assert [repr(kind(name)) for name in ("flip", "damp")] == ["<flip>", "<channel damp>"]
    assert select("hadamard", "Ry").name == "hadamard"
    assert select("hadamard", "damp").name == "damping"  # channels always use their own


def test_rules_say_what_they_are() -> None:
    assert str(choose("flip")) == "flip: dE/dp = (forced true) - (forced false)"
    assert repr(choose("damp")) == (
        "<rule damping: dE/dγ = (reset) - (1/2 + 1/4s)·(nothing) - (1/2 - 1/4s)·(Z), s = √(1-γ)>"
    )
    assert all(rule.formula.startswith("dE/d") for rule in rules())


DECLARED = qd.parse(
    "qubit: q  gate Turn(a)[x] = exp(-i a/2 * (0.6*X + 0.8*Z))  gate Fix[x] = [[1, 0], [0, 1]]  skip"
)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: choose("Rq"), "There is no gate or channel `Rq`. Did you mean `Rz`?"),
        (lambda: choose("rzz"), "There is no gate or channel `rzz`. Did you mean `Rzz`?"),
        (lambda: choose("dampen"), "There is no gate or channel `dampen`. Did you mean `damp`?"),
        (
            lambda: choose("Mine"),
            "There is no gate or channel `Mine`. A gate that a program declares is found with `program=`.",
        ),
        (
            lambda: choose("turn", program=DECLARED),
            "There is no gate or channel `turn`. Did you mean `Turn`?",
        ),
        (lambda: choose("Mine", program=DECLARED), "There is no gate or channel `Mine`."),
        (
            lambda: choose("R_XI"),
            "There is no gate or channel `R_XI`. After `R_` stand letters X, Y, Z, one for each qubit, as in "
            "`R_XZY`.",
        ),
        (
            lambda: choose("C_C_Ry"),
            "`C_` stands once in front of a gate; `controls=` says how many it has.",
        ),
        (lambda: choose("H"), "A rule is for one angle; gate `H` has none."),
        (lambda: choose("Fix", program=DECLARED), "A rule is for one angle; gate `Fix` has none."),
        (lambda: GateKind(record("CNOT")), "A rule is for one angle; gate `CNOT` has none."),
        (
            lambda: choose("U", controls=2),
            "A rule is for one angle; gate `U` has several: choose a rule for each of its primitives `P`, "
            "`Ry`, `P`.",
        ),
        (lambda: choose("damp", controls=1), "`damp` is a channel; only a gate can be controlled."),
        (lambda: choose("C_damp"), "`damp` is a channel; only a gate can be controlled."),
        (lambda: choose("flip", controls=2), "`flip` is no gate; only a gate can be controlled."),
        (lambda: kind("Ry", controls=-1), "The number of controls of `Ry` is an integer from 0, got -1."),
        (lambda: kind("C_Ry", controls=0), "The number of controls of `C_Ry` is an integer from 1, got 0."),
        (lambda: kind("Ry", controls=True), "The number of controls of `Ry` is an integer from 0, got True."),
        (
            lambda: kind(GateKind(record("Ry")), controls=1),
            "`controls` and `program` belong to a name; the kind <gate Ry> is complete.",
        ),
        (
            lambda: choose(""),
            "A rule is chosen for the name of a gate, such as `C_Ry`, of a channel, such as `damp`, for "
            "`flip` or for a kind, not for ''.",
        ),
        (
            lambda: choose("C_"),
            "A rule is chosen for the name of a gate, such as `C_Ry`, of a channel, such as `damp`, for "
            "`flip` or for a kind, not for 'C_'.",
        ),
        (
            lambda: kind(3),
            "A rule is chosen for the name of a gate, such as `C_Ry`, of a channel, such as `damp`, for "
            "`flip` or for a kind, not for 3.",
        ),
        (
            lambda: kind("Ry", program="qubit: q"),
            "`program` is a program, such as qd.parse(text), not 'qubit: q'.",
        ),
        (lambda: choose("Ry", cost="time"), "The cost is one of shots, qubits, not 'time'."),
        (
            lambda: choose(ChannelKind(replace(channel_record("damp"), name="other"))),
            "There is no rule for `other`.",
        ),
    ],
)
def test_what_no_rule_is_chosen_for(call: Callable[[], object], message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize("primitive", ["Ry", "flip", "damp"])
def test_errors_name_all_rules_there_are(primitive: str) -> None:
    with pytest.raises(QdiffError) as caught:
        select("shft", primitive)
    listed = ", ".join(names())
    assert str(caught.value) == f"There is no rule 'shft'. Rules: {listed}. Did you mean `shift`?"
