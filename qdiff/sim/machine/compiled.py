"""Compiling: entries, inner functions, and *parts*, which are compiled apart and called by their address.

Numba compiles a function together with all functions that it calls, again for each caller. So what the
loops over shots, over merged shots and over derivatives have in common, and is large, are parts: compiled
once, when a program needs them, and kept on disk. A part has the tables at hand through one number, the
address of a `Tables` that its caller made (`address_of`); `field` reads from there. A call costs some
nanoseconds.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils as _cgutils
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

from qdiff.sim.machine.code import Code
from qdiff.sim.machine.on_disk import kept
from qdiff.sim.machine.tables import Bound, Tables, Work

F = TypeVar("F", bound=Callable[..., Any])

cgutils: Any = _cgutils
_tuple_type: Any = types.NamedTuple

plain = cast(Callable[[int], int], np.int64)
"""Makes a constant an integer like any other: Numba compiles a function again for each constant."""

# Nothing here allocates, so nothing counts references to arrays: counting them is atomic and took
# three quarters of the time. (Numba's own option; with it an allocation does not compile.)
_OPTIONS: Final[dict[str, Any]] = {"error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
_INNER: Final[dict[str, Any]] = {**_OPTIONS, "no_cpython_wrapper": True}


def entry(function: F) -> F:
    """A function that Python calls: compiled once, kept on disk. Division by zero gives inf or nan."""
    return cast(F, kept(numba.njit(nogil=True, **_OPTIONS)(function)))


def inner(function: F) -> F:
    """A function that only compiled ones call; its code is kept with theirs.

    Python must not call it: there is no way in, and it would crash.
    """
    return cast(F, numba.njit(**_INNER)(function))


def inlined(function: F) -> F:
    """An inner function of the hot path, which saves the call."""
    return cast(F, numba.njit(forceinline=True, **_INNER)(function))


WHOLE, REAL, TRUTH = types.int64, types.float64, types.boolean
WHOLES, REALS, TRUTHS = (types.Array(number, 1, "C") for number in (WHOLE, REAL, TRUTH))
COMPLEXES, WORDS = types.Array(types.complex128, 1, "C"), types.Array(types.uint64, 1, "C")
TABLE, STATE = types.Array(WHOLE, 2, "C"), types.Array(REAL, 2, "C")
NOTHING = types.void

_CODE = _tuple_type(
    [
        *(TABLE, WHOLES, WHOLES, TABLE, WHOLES, WHOLES, WHOLES, WHOLES, TABLE, WHOLES, TABLE, COMPLEXES),
        *(WHOLES, TABLE, REALS, WHOLES, TRUTHS, REALS, TABLE, COMPLEXES),
    ],
    Code,
)
_BOUND = _tuple_type([REALS, REALS, WHOLES, COMPLEXES, COMPLEXES, COMPLEXES], Bound)
_WORK = _tuple_type([WHOLES, WORDS, WHOLES, STATE, STATE, REALS, WHOLES, REALS, WHOLES, WHOLES, REALS], Work)
TABLES = _tuple_type([_CODE, _BOUND, _WORK], Tables)
"""The type of `Tables` in compiled code."""

_PLACES: Final = {name: (t, i) for t, table in enumerate(TABLES.types) for i, name in enumerate(table.fields)}


def _address_of(typing_context: Any, tables: Any) -> Any:
    """The address of tables, for as long as the caller runs."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ptrtoint(cgutils.alloca_once_value(builder, arguments[0]), ir.IntType(64))

    if tables != TABLES:
        raise TypeError(f"tables of the types {tables}")
    return WHOLE(tables), generate


def _field(typing_context: Any, tables: Any, name: Any) -> Any:
    """The table of this name, from the address of all."""
    place = _PLACES[name.literal_value]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], context.get_value_type(TABLES).as_pointer())
        return builder.load(cgutils.gep_inbounds(builder, pointer, 0, *place))

    return TABLES.types[place[0]].types[place[1]](WHOLE, name), generate


def _item(typing_context: Any, array: Any, place: Any) -> Any:
    """An entry of an array with one axis, at a place that is in it: Numba would ask if it is negative."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return context.unpack_value(builder, array.dtype, builder.gep(data, [arguments[1]], inbounds=True))

    return array.dtype(array, WHOLE), generate


def _cell(typing_context: Any, table: Any, row: Any, column: Any, width: Any) -> Any:
    """An entry of a table that has `width` columns, a number that is known when it is compiled."""
    place, columns = column.literal_value, width.literal_value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        start = builder.mul(arguments[1], ir.Constant(ir.IntType(64), columns))
        at = builder.add(start, ir.Constant(ir.IntType(64), place))
        return context.unpack_value(builder, table.dtype, builder.gep(data, [at], inbounds=True))

    return table.dtype(table, WHOLE, column, width), generate


item = cast(Callable[[Any, int], Any], intrinsic(_item))
cell = cast(Callable[[Any, int, int, int], Any], intrinsic(prefer_literal=True)(_cell))
address_of = cast(Callable[[Tables], int], intrinsic(_address_of))
field = cast(Callable[[int, str], Any], intrinsic(prefer_literal=True)(_field))


def apart(function: F) -> F:
    """A function that compiled ones call by its address; kept on disk."""
    return cast(F, kept(numba.njit(**_INNER)(function)))


def address_in(function: Any, arguments: tuple[Any, ...]) -> int:
    """Where the code of a function for these types is; it is compiled, or loaded from disk."""
    function.compile(arguments)
    code = function.overloads[arguments]
    return int(code.library.get_pointer_to_function(code.fndesc.llvm_func_name))


def by_address(result: Any, arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """What writes the call of a function of these types, the first value of which is its address."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = context.call_conv.get_function_type(result, arguments)
        pointer = builder.inttoptr(values[0], kind.as_pointer())
        # Nothing raises in compiled code, so the status says nothing.
        _, value = context.call_conv.call_function(builder, pointer, result, arguments, values[1:])
        return value

    return generate


class Part:
    """A function that is compiled apart.

    Attributes:
        call: in compiled code, call(address, …); an address of 0 must not be called.
        address: where its code is; asking for it compiles the function, or loads it from disk.
    """

    def __init__(self, function: Callable[..., Any], signature: Signature) -> None:
        self._function = apart(function)
        self._signature = signature
        self.call = cast(Callable[..., Any], intrinsic(self._typed(function)))

    def _typed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        result, arguments = self._signature.return_type, self._signature.args

        def typed(typing_context: Any, address: Any, *given: Any) -> Any:
            return result(WHOLE, *arguments), by_address(result, arguments)

        names = "typing_context", "address", *inspect.signature(function).parameters
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        typed.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [inspect.Parameter(name, kind) for name in names]
        )
        return typed

    @cached_property
    def address(self) -> int:
        """See the class."""
        return address_in(self._function, self._signature.args)


def part(signature: Signature) -> Callable[[Callable[..., Any]], Part]:
    """Make a function a part; its types are given, so that it can be compiled before it is called."""
    return lambda function: Part(function, signature)
