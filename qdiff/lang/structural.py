"""Equality, hash and repr of nested nodes without recursion, so that depth is no limit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any


class Nested:
    """Base of frozen dataclasses that hold others of their kind, directly or in tuples.

    Equality and hash go over the fields with `compare=True`, the repr over those with `repr=True`.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        # A walk from the root that notes kinds and lengths determines the tree.
        return self is other or all(
            a == b for a, b in itertools.zip_longest(_tokens(self), _tokens(other), fillvalue=None)
        )

    def __hash__(self) -> int:
        return hash(tuple(_tokens(self)))

    def __repr__(self) -> str:
        return nested_repr(self, Nested)


@cache
def _field_names(kind: Any, shown: bool) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if (field.repr if shown else field.compare))


def _tokens(root: Nested) -> Iterator[object]:
    """Yield kinds, lengths and leaves of a tree, from the root down and from the left."""
    pending: list[object] = [root]
    while pending:
        item = pending.pop()
        if isinstance(item, Nested):
            kind: Any = type(item)
            yield kind
            pending.extend(getattr(item, name) for name in reversed(_field_names(kind, False)))
        elif isinstance(item, tuple):
            yield len(item)
            pending.extend(reversed(item))
        else:
            yield item


class _Punctuation(str):
    """Text to be shown as it is."""


def nested_repr(root: object, nested: type[Any]) -> str:
    """Return the repr a dataclass would have; nodes of the kind `nested` are opened in place."""
    shown: list[str] = []
    pending: list[object] = [root]
    while pending:
        item = pending.pop()
        pieces: list[object] = []
        if isinstance(item, _Punctuation):
            shown.append(item)
        elif isinstance(item, nested) and is_dataclass(item):
            kind: Any = type(item)
            pieces.append(_Punctuation(f"{kind.__name__}("))
            for i, name in enumerate(_field_names(kind, True)):
                pieces += (_Punctuation(f"{', ' if i else ''}{name}="), getattr(item, name))
            pieces.append(_Punctuation(")"))
        elif isinstance(item, tuple):
            pieces.append(_Punctuation("("))
            for i, part in enumerate(item):
                pieces += (_Punctuation(", " if i else ""), part)
            pieces.append(_Punctuation(",)" if len(item) == 1 else ")"))
        else:
            shown.append(repr(item))
        pending.extend(reversed(pieces))
    return "".join(shown)
