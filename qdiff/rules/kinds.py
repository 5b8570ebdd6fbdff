"""Kinds of primitives by name: what a rule can be chosen for without a program, or for its declared gates."""

from __future__ import annotations

from qdiff.errors import QdiffError, did_you_mean
from qdiff.lang.channels import channel_record, is_channel, known_channels
from qdiff.lang.gates import GateRecord, gate_hint, is_gate, record
from qdiff.lang.tree import Program
from qdiff.rules.primitive import ChannelKind, FlipKind, GateKind, Kind, gate_kind

FLIP = FlipKind()


def kind(primitive: str | Kind, *, controls: int | None = None, program: Program | None = None) -> Kind:
    """Return what rules know of a primitive: a gate with one angle, a channel, or `flip`.

    Args:
        primitive: a name as it is written in a program: `"Ry"`, `"R_XZY"`, `"C_Ry"`, `"damp"`, `"flip"`; a
            kind is returned as it is.
        controls: how many a gate has; without it 0, or 1 where `C_` stands in front of the name.
        program: where else to look for the name: among the gates that it declares.

    Returns:
        A kind: `.name`, and for gates `.frequencies` in units of 1/a, `.eigenvalues` of G/2 and `.controls`.

    Raises:
        QdiffError: no such gate or channel; a gate without an angle, or with several; controls of something
            that is no gate.
    """
    if isinstance(primitive, GateKind | ChannelKind | FlipKind):
        if controls is not None or program is not None:
            raise QdiffError(
                f"`controls` and `program` belong to a name; the kind {primitive!r} is complete."
            )
        return primitive
    if not isinstance(primitive, str) or primitive in ("", "C_"):
        raise QdiffError(
            "A rule is chosen for the name of a gate, such as `C_Ry`, of a channel, such as `damp`, for "
            f"`flip` or for a kind, not for {primitive!r}."
        )
    if program is not None and not isinstance(program, Program):
        raise QdiffError(f"`program` is a program, such as qd.parse(text), not {program!r}.")
    name = primitive.removeprefix("C_")
    if name == FLIP.name or is_channel(name):
        if controls or name != primitive:
            what = "is no gate" if name == FLIP.name else "is a channel"
            raise QdiffError(f"`{name}` {what}; only a gate can be controlled.")
        return FLIP if name == FLIP.name else ChannelKind(channel_record(name))
    return gate_kind(_found(name, program), _checked_controls(primitive, controls))


def _found(name: str, program: Program | None) -> GateRecord:
    declared = () if program is None else tuple(gate.name for gate in program.gate_declarations)
    if program is not None and name in declared:
        return program.record(name)
    if is_gate(name):
        return record(name)
    if name.startswith("C_"):
        raise QdiffError("`C_` stands once in front of a gate; `controls=` says how many it has.")
    near = (
        did_you_mean(name, declared) or gate_hint(name) or did_you_mean(name, (*known_channels(), FLIP.name))
    )
    if not near and program is None:
        near = "A gate that a program declares is found with `program=`."
    raise QdiffError(f"There is no gate or channel `{name}`. {near}".rstrip())


def _checked_controls(name: str, controls: int | None) -> int:
    least = int(name.startswith("C_"))
    if controls is None:
        return least
    if type(controls) is not int or controls < least:
        raise QdiffError(f"The number of controls of `{name}` is an integer from {least}, got {controls!r}.")
    return controls
