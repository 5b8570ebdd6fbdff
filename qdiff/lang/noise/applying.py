"""The pass that puts the noise of a model into a program: tree in, tree out.

Channels follow each gate and each reset; what a measurement records is flipped (`readout`); a `case`
reads a counter that is added for it. The program itself is not changed in any other way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Protocol, assert_never

from qdiff.errors import QdiffError, did_you_mean, listed
from qdiff.lang import tree
from qdiff.lang.check import check
from qdiff.lang.conditions import Leaf, rebuilt
from qdiff.lang.expr import Counter, Number
from qdiff.lang.fresh_names import FreshNames, declared_names
from qdiff.lang.gates import gate_hint, is_gate
from qdiff.lang.noise.gate_keys import ALL, RESET, GateKey, keys_of, keys_of_reset
from qdiff.lang.noise.noise_channel import NoiseChannel
from qdiff.lang.noise.readout import ReadoutErrors
from qdiff.lang.printer import head_text


class Model(Protocol):
    """What the pass needs to know of a noise model."""

    @property
    def by_key(self) -> Mapping[GateKey, tuple[NoiseChannel, ...]]: ...

    @property
    def readout(self) -> ReadoutErrors: ...

    @property
    def parameters(self) -> tuple[tree.Register, ...]: ...


def applied(model: Model, program: tree.Program) -> tree.Program:
    """Return the noisy program; see `NoiseModel.apply`."""
    _check_names(model, program)
    names = FreshNames(program, (register.name for register in model.parameters))
    noisy = _Applier(model, names)
    body = noisy.block(program.body)
    counters = (*program.counter_registers, *map(tree.Register, noisy.counters))
    parameters = (*program.parameter_registers, *model.parameters)
    # Noise nests deeper than what it stands in: what passes still has a text.
    return check(replace(program, body=body, counter_registers=counters, parameter_registers=parameters))


def _check_names(model: Model, program: tree.Program) -> None:
    """Refuse a model that speaks of what the program does not have."""
    declared = declared_names(program)
    for register in model.parameters:
        if register.name in declared:
            raise QdiffError(
                f"The noise model has a parameter `{register.name}`, and the program declares a "
                f"`{register.name}` of its own: give one of them another name."
            )
    gates = {declaration.name for declaration in program.gate_declarations}
    if RESET in gates:
        raise QdiffError(
            f"The program declares a gate `{RESET}`, which in a noise model means `q := |0>`: give the gate "
            "another name."
        )
    for key in model.by_key:
        base = key.name.removeprefix("C_")
        if key.name not in (ALL, RESET) and not is_gate(base) and base not in gates:
            hint = did_you_mean(base, gates) or gate_hint(base)
            raise QdiffError(
                f"The noise model names the gate `{key.name}`, which is neither a gate of the language nor "
                f"declared by the program. {hint}".rstrip()
            )
        for qubit in key.qubits:
            if qubit not in program.qubits:
                hint = did_you_mean(qubit, program.qubits)
                raise QdiffError(
                    f"The noise model has noise of `{key}`, and `{qubit}` is not a qubit of the program. "
                    f"Qubits: {listed(program.qubits)}. {hint}".rstrip()
                )
    model.readout.check_names(program)


class _Applier:
    """Rewrites blocks; what follows a gate on its qubits is built once and shared."""

    def __init__(self, model: Model, names: FreshNames) -> None:
        self.model = model
        self.errors = model.readout
        self.names = names
        self.counters: list[str] = []
        self._after: dict[tuple[GateKey, ...], tree.Block] = {}

    def block(self, block: tree.Block) -> tree.Block:
        """Return the noisy block; one Python frame a level of nesting."""
        out: list[tree.Statement] = []
        for statement in block:
            match statement:
                case tree.Skip() | tree.Abort() | tree.Assign() | tree.Channel():
                    out.append(statement)
                case tree.Gate(controls=controls, targets=targets):
                    keys, qubits = keys_of(statement), (*controls, *targets)
                    out += [statement, *self.after(keys, qubits, statement)]
                case tree.Reset(qubit=qubit):
                    out += [statement, *self.after(keys_of_reset(qubit), (qubit,), statement)]
                case tree.Measure(counter=counter, qubits=qubits):
                    out += [statement, *self.errors.recorded(counter, qubits)]
                case tree.If(condition=condition, then=then, otherwise=otherwise):
                    condition, then = rebuilt(condition, self.leaf), self.block(then)
                    out.append(tree.If(condition, then, self.block(otherwise), pos=statement.pos))
                case tree.Case():
                    out.extend(self.case(statement))
                case tree.While(condition=condition, body=body, bound=bound):
                    condition = rebuilt(condition, self.leaf)
                    out.append(tree.While(condition, self.block(body), bound, pos=statement.pos))
                case _:
                    assert_never(statement)
        return tuple(out)

    def after(
        self, keys: tuple[GateKey, ...], qubits: tuple[str, ...], statement: tree.Statement
    ) -> tree.Block:
        """What follows a gate or a reset on these qubits: the noise of the first of its keys that has any."""
        if keys not in self._after:
            channels = next((self.model.by_key[key] for key in keys if key in self.model.by_key), ())
            shown = f"`{head_text(statement)}`"
            self._after[keys] = tuple([s for channel in channels for s in channel.block(qubits, shown)])
        return self._after[keys]

    def leaf(self, part: Leaf) -> tree.Condition:
        return self.errors.condition(part) if isinstance(part, tree.Measured) else part

    def case(self, case: tree.Case) -> list[tree.Statement]:
        """A `case` whose outcome is read with errors: a measurement into a counter, and comparisons."""
        arms = tuple([(label, self.block(body)) for label, body in case.arms])
        rest = self.block(case.otherwise)
        if not self.errors.noisy(case.qubits):
            return [tree.Case(case.qubits, arms, rest, pos=case.pos)]
        for label, body in reversed(arms):
            # One counter serves all: a comparison is never made after an arm that may have changed it.
            chosen = tree.Compare(Counter(self.counter), "=", Number(label), pos=case.pos)
            rest = (tree.If(chosen, body, rest, pos=case.pos),)
        measure = tree.Measure(self.counter, case.qubits, pos=case.pos)
        return [measure, *self.errors.recorded(self.counter, case.qubits), *rest]

    @cached_property
    def counter(self) -> str:
        """A counter for what is recorded where the program has none."""
        self.counters.append(self.names.fresh("recorded"))
        return self.counters[-1]
