"""Noise channels as people and JSON files write them.

{"X": 0.01, "Z": 0.02}    {"depolarize": 0.01}    "qubit: a, b  if flip(0.1) then X[a]; Z[b] fi"
{"damp": 0.1, "on": [1]}  {"program": "qubit: q  damp(0.1)[q]", "on": [1]}     a list of them
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from qdiff.errors import QdiffError, QdiffSyntaxError, listed
from qdiff.lang.channels import is_channel, known_channels
from qdiff.lang.noise.channels import LETTERS, channel, pauli, standard
from qdiff.lang.noise.noise_channel import NoiseChannel, checked_places
from qdiff.lang.tree import Program

Form: TypeAlias = str | dict[str, Any]

ON, PROGRAM = "on", "program"


def channels_of(given: object, what: str) -> tuple[NoiseChannel, ...]:
    """Return the channels of one gate: one, or a list of them.

    Args:
        what: whose noise it is, for messages.

    Raises:
        QdiffError: something that is no channel.
    """
    several = given if isinstance(given, list | tuple) else [given]
    try:
        return tuple([_channel_of(one) for one in several])
    except QdiffSyntaxError as error:
        raise QdiffSyntaxError(
            f"The noise of {what}: {error}", line=error.line, column=error.column, hint=error.hint
        ) from None
    except QdiffError as error:
        message = str(error)
        raise QdiffError(f"The noise of {what}: {message[:1].lower()}{message[1:]}") from None


def channel_form(found: NoiseChannel) -> Form:
    """Return a channel as `channels_of` reads it and JSON can hold it."""
    form: Form = dict(found.short) or str(found.program)
    if found.places is None:
        return form
    return {**(form if isinstance(form, dict) else {PROGRAM: form}), ON: list(found.places)}


def _channel_of(given: object) -> NoiseChannel:
    match given:
        case NoiseChannel():
            return given
        case str() | Program():
            return channel(given)
        case Mapping():
            parts = dict(given)
            places = parts.pop(ON, None)
            found = _of_mapping(parts)
            width = len(found.program.qubits)
            return found if places is None else replace(found, places=checked_places(places, width))
        case _:
            raise QdiffError(
                'a channel is a mapping such as {"X": 0.01} or {"depolarize": 0.01}, a program or its text, '
                f"or made by qd.noise; got {given!r}."
            )


def _of_mapping(parts: dict[Any, Any]) -> NoiseChannel:
    if list(parts) == [PROGRAM]:
        return channel(parts[PROGRAM])
    named = [key for key in parts if isinstance(key, str) and is_channel(key)]
    if named and len(parts) == 1:
        return standard(named[0], parts[named[0]])
    if not parts or not all(isinstance(key, str) and key and not set(key) - set(LETTERS) for key in parts):
        known = listed(known_channels())
        raise QdiffError(
            "a mapping holds words of the letters I X Y Z 0 1 with their probabilities, or one of "
            f'{known}, or "{PROGRAM}", and "{ON}" besides; got the keys '
            f"{', '.join(map(repr, parts)) or 'none'}."
        )
    return pauli(parts)
