"""Values for all parameters of a program, from what users hand in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from qdiff.errors import ParameterError, did_you_mean, listed
from qdiff.lang.parameter_values import Collected, declared, described, is_sequence
from qdiff.lang.tree import Program

_PLAIN = frozenset({float, int, np.float64})


def resolve(program: Program, params: object, *, names: Sequence[str] | None = None) -> dict[str, float]:
    """Return the value of every parameter by name, array elements as "w[0]".

    Args:
        params: a mapping from names to numbers, from names of arrays to sequences, from elements as
            "w[0]" to numbers (these win over the array); or a flat sequence of numbers, which are the
            values of `names` where there are no other parameters; None stands for no values.
        names: what a flat sequence stands for, in order; `program.trainable` if left out.

    Raises:
        ParameterError: unknown or missing names, values that are no finite real numbers, wrong
            lengths: the message names all of them.
    """
    fast = _fast(program, params, names)
    return _checked(program, params, names) if fast is None else fast


def _fast(program: Program, params: object, names: Sequence[str] | None) -> dict[str, float] | None:
    """The values where nothing needs a closer look: an objective calls this at every evaluation."""
    every = program.parameters
    values: Sequence[object]
    if isinstance(params, dict):
        if len(params) != len(every):
            return None
        try:
            values = [params[name] for name in every]
        except KeyError:
            return None
    else:
        order = program.trainable if names is None else names
        if isinstance(params, np.ndarray) and params.ndim == 1 and params.dtype == np.float64:
            values = params.tolist()
        elif isinstance(params, list | tuple):
            values = params
        else:
            return None
        if len(values) != len(every) or len(order) != len(every):
            return None
        if names is not None:
            given = dict(zip(names, values, strict=True))
            if given.keys() != frozenset(every):
                return None
            values = [given[name] for name in every]
    return _floats(every, values) if _PLAIN.issuperset(map(type, values)) else None


def _floats(names: Sequence[str], values: Sequence[Any]) -> dict[str, float] | None:
    try:
        return dict(zip(names, map(float, values), strict=True)) if all(map(math.isfinite, values)) else None
    except OverflowError:  # an integer beyond the floats
        return None


def _checked(program: Program, params: object, names: Sequence[str] | None) -> dict[str, float]:
    collected = Collected(program)
    if isinstance(params, Mapping):
        collected.add_mapping(params)
    elif is_sequence(params):
        order = program.trainable if names is None else tuple(names)
        values = list(params)  # type: ignore[call-overload]
        if len(values) != len(order) or (isinstance(params, np.ndarray) and params.ndim != 1):
            raise ParameterError(
                f"A flat sequence holds the values of {listed(order)}: {len(order)} numbers, got"
                f" {described(params)}. Parameters: {declared(program)}."
            )
        others = [name for name in program.parameters if name not in set(order)]
        if others:
            raise ParameterError(
                f"A flat sequence gives values to {listed(order)} only, and {listed(others)} would have none."
                " Pass a mapping with all names, or fix the others with program.bind(...)."
            )
        collected.add_mapping(dict(zip(order, values, strict=True)))
    elif params is not None:
        raise ParameterError(
            "Parameter values are a mapping from names to numbers or a flat sequence of numbers, got"
            f" {described(params)}. Parameters: {declared(program)}."
        )
    collected.finish(program.parameters)
    return {name: float(collected.numbers[name]) for name in program.parameters}


def expand(wrt: object, program: Program) -> tuple[str, ...]:
    """Return the parameters that `wrt` names, in its order.

    Args:
        wrt: a name, the name of an array (all its elements), or an iterable of them; for a program that
            comes from elsewhere its names there, too.

    Raises:
        ParameterError: a name that is unknown or given twice, or no names.
    """
    known, origin = program.parameters, program.origin
    elements: dict[str, list[str]] = {name: [name] for name in known}
    for name in known:
        array, bracket, _ = name.partition("[")
        if bracket:
            elements.setdefault(array, []).append(name)
    wanted = [wrt] if isinstance(wrt, str) else list(wrt) if isinstance(wrt, Iterable) else [wrt]
    found: dict[str, None] = {}
    for given in wanted:
        one = given if origin is None else origin.name(given)
        if not isinstance(one, str) or one not in elements:
            hint = did_you_mean(str(one), elements)
            raise ParameterError(
                f"wrt: {one!r} is not a parameter. Parameters: {listed(known)}. {hint}".rstrip()
            )
        for element in elements[one]:
            if element in found:
                raise ParameterError(f"wrt: `{element}` is named twice.")
            found[element] = None
    if not found:
        raise ParameterError("wrt names no parameter. Leave it out for all trainable ones.")
    return tuple(found)


def constant(text: str) -> float:
    """Return the value of a constant expression such as `pi/2`, `-1.5` or `sqrt(2)/2`.

    Raises:
        QdiffSyntaxError: the text is no expression, or one with names or without a finite value.
    """
    from qdiff.lang.text.constants import constant_number
    from qdiff.lang.text.parser import read_expression, reading, source_of

    source = source_of(text, "<value>")
    return reading(source, lambda: float(constant_number(read_expression(source.text))))
