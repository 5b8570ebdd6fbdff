"""What counters have to do with each other: comparisons of several become comparisons of one.

For every integer form Σ aᵢcᵢ that a comparison of two counters or more asks for, a hidden counter holds its
value; an assignment that changes the form by a constant adds that to it. An analysis that knows
counters one by one then knows these relations too. (Differences of two variables as in Miné, "A new
numerical abstract domain based on difference-bound matrices", 2001, for the forms that the program names.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

from qdiff.lang import expr as ex
from qdiff.lang import tree as t
from qdiff.lang.expr import Counter, Expr, add, multiply, negate, number
from qdiff.sim import flow as fl
from qdiff.sim.flow import Flow

Form: TypeAlias = tuple[tuple[str, int], ...]  # counter, coefficient: sorted, none of them 0

MOST_FORMS = 4


def with_differences(flow: Flow) -> Flow:
    """Return a flow that does the same, with hidden counters behind the others; points keep their index."""
    instructions = [*flow.instructions, fl.Stop(aborted=True)]
    nowhere = len(instructions) - 1
    names: dict[Form, str] = {}
    for i, instruction in enumerate(flow.instructions):
        if isinstance(instruction, fl.Decide):
            again = _compared(instruction.condition, names)
            if again is not None:  # both comparisons must agree: what either of them knows counts
                instructions.append(fl.Decide(again, instruction.if_true, nowhere))
                instructions.append(fl.Decide(again, nowhere, instruction.if_false))
                both = len(instructions) - 2, len(instructions) - 1
                instructions[i] = fl.Decide(instruction.condition, *both)
    counters = [*flow.counters, *names.values()]
    for i, instruction in enumerate(list(instructions)):
        if not isinstance(instruction, fl.Set | fl.RecordBits):
            continue
        own = flow.counters[instruction.counter]
        linear = _linear(instruction.value) if isinstance(instruction, fl.Set) else None
        if isinstance(instruction, fl.Set) and linear is not None:
            instruction = replace(instruction, value=_expression(*linear))
        before: list[tuple[int, Expr]] = []
        after: list[tuple[int, Expr]] = []
        for form, name in names.items():
            coefficient = dict(form).get(own, 0)
            if not coefficient:
                continue
            place = counters.index(name)
            if linear is None:  # read off the counters afterwards
                after.append((place, _expression(form, 0)))
                continue
            changed = _sum({**dict(form), own: 0}, linear[0], coefficient)
            constant = coefficient * linear[1]
            if changed == form:
                before.append((place, add(Counter(name), number(constant))))
            else:
                before.append((place, _expression(changed, constant)))
        following = instruction.next
        for place, value in after:
            instructions.append(fl.Set(place, value, None, following))
            following = len(instructions) - 1
        changing: fl.Instruction = replace(instruction, next=following)
        for place, value in before:
            instructions.append(changing)
            changing = fl.Set(place, value, None, len(instructions) - 1)
        instructions[i] = changing
    return replace(flow, instructions=instructions, counters=counters)


def _compared(condition: t.Compare, names: dict[Form, str]) -> t.Compare | None:
    """The comparison with the hidden counter of its form, which is entered into `names`."""
    found = _linear(add(condition.left, negate(condition.right)))
    if found is None or len(found[0]) < 2:
        return None
    form, constant = found
    if form not in names:
        if len(names) == MOST_FORMS:
            return None
        names[form] = f"form {len(names)}"  # no such name can be declared
    return replace(condition, left=Counter(names[form]), right=number(-constant))


def _linear(expression: Expr) -> tuple[Form, int] | None:
    """The form and the constant of an integer expression, None where it is not linear."""
    return expression.fold(_combined)


def _combined(node: Expr, x: list[tuple[Form, int] | None]) -> tuple[Form, int] | None:
    operands = [operand for operand in x if operand is not None]
    if len(operands) < len(x):
        return None
    match node:
        case ex.Number(value=int() as value):
            return (), value
        case ex.Counter(name=name):
            return ((name, 1),), 0
        case ex.Sum():
            total: Form = ()
            for form, _ in operands:
                total = _sum(dict(total), form)
            return total, sum(constant for _, constant in operands)
        case ex.Negate():
            return _sum({}, operands[0][0], -1), -operands[0][1]
        case ex.Product():
            form, constant = operands[0]
            for other, factor in operands[1:]:
                if form and other:
                    return None
                form = _sum(dict(_sum({}, form, factor)), other, constant)
                constant *= factor
            return form, constant
        case _:
            return None


def _sum(to: Mapping[str, int], form: Form, factor: int = 1) -> Form:
    """to + factor · form."""
    result = dict(to)
    for name, coefficient in form:
        result[name] = result.get(name, 0) + factor * coefficient
    return tuple(sorted((name, coefficient) for name, coefficient in result.items() if coefficient))


def _expression(form: Form, constant: int) -> Expr:
    terms = [multiply(number(coefficient), Counter(name)) for name, coefficient in form]
    return add(*terms, number(constant))
