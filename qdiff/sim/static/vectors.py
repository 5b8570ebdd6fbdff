"""Instructions on explicit SIMD vectors, for loops that Numba's own vectoriser does badly.

LLVM's vectoriser makes 256-bit code of dense loops over amplitudes, which reaches a fifth of what a processor
with 512-bit vectors can do, and none of loops that permute neighbours; written as LLVM vectors they reach
about half. On a processor with shorter vectors LLVM splits them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils as _cgutils

cgutils: Any = _cgutils

I32, I64, FLOAT, DOUBLE = ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.DoubleType()


class Vectors:
    """Writes what an intrinsic does with vectors of `count` numbers, or with plain numbers where that is 1.

    Args:
        context, builder, signature, arguments: what Numba hands to the code generator of an intrinsic.
        number: the kind of the numbers, FLOAT or DOUBLE.
    """

    def __init__(
        self, context: Any, builder: Any, signature: Any, arguments: Any, number: Any, count: int
    ) -> None:
        self.context, self.b, self.signature, self.arguments = context, builder, signature, arguments
        self.number_kind, self.count = number, count
        self.kind = number if count == 1 else ir.VectorType(number, count)
        digits = "f32" if number == FLOAT else "f64"
        self._suffix = digits if count == 1 else f"v{count}{digits}"

    def data(self, argument: int) -> Any:
        """The first number of an array."""
        make = self.context.make_array(self.signature.args[argument])
        return make(self.context, self.b, self.arguments[argument]).data

    def load(self, data: Any, index: Any) -> Any:
        """The numbers from an index on; float32 ones are widened where vectors are of float64."""
        element = data.type.pointee
        kind = element if self.count == 1 else ir.VectorType(element, self.count)
        found = self.b.load(self.b.bitcast(self.b.gep(data, [index]), kind.as_pointer()))
        found.align = 4 if element == FLOAT else 8
        return found if kind == self.kind else self.b.fpext(found, self.kind)

    def store(self, value: Any, data: Any, index: Any) -> None:
        """Write numbers from an index on."""
        pointer = self.b.bitcast(self.b.gep(data, [index]), self.kind.as_pointer())
        self.b.store(value, pointer).align = 4 if self.number_kind == FLOAT else 8

    def number(self, data: Any, index: Any) -> Any:
        """One number of an array everywhere."""
        return self.everywhere(self.b.load(self.b.gep(data, [index])))

    def everywhere(self, value: Any) -> Any:
        """A plain number, or an integer, in all places of a vector."""
        if self.count == 1:
            return value
        nothing = ir.Constant(ir.VectorType(value.type, self.count), ir.Undefined)
        first = self.b.insert_element(nothing, value, ir.Constant(I32, 0))
        return self.shuffled(first, nothing, [0] * self.count)

    def shuffled(self, x: Any, y: Any, order: Sequence[int]) -> Any:
        """The numbers of x and behind them of y in an order."""
        mask = ir.Constant(ir.VectorType(I32, len(order)), [ir.Constant(I32, i) for i in order])
        return self.b.shuffle_vector(x, y, mask)

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        """x y + z."""
        return self._call("llvm.fma", self.kind, x, y, z)

    def total(self, x: Any) -> Any:
        """The sum of the numbers of a vector, as float64."""
        start = ir.Constant(self.number_kind, 0.0)
        found = self._call("llvm.vector.reduce.fadd", self.number_kind, start, x, fastmath=("reassoc",))
        return found if self.number_kind == DOUBLE else self.b.fpext(found, DOUBLE)

    def _call(self, name: str, result: Any, *values: Any, **options: Any) -> Any:
        kind = ir.FunctionType(result, [value.type for value in values])
        function = cgutils.get_or_insert_function(self.b.module, kind, f"{name}.{self._suffix}")
        return self.b.call(function, list(values), **options)

    def sums(self, number: int) -> list[Any]:
        """Places of so many vectors, 0 at first."""
        zero = ir.Constant(self.number_kind, 0.0)
        start = zero if self.count == 1 else ir.Constant(self.kind, [zero] * self.count)
        found = [cgutils.alloca_once(self.b, self.kind) for _ in range(number)]
        for place in found:
            self.b.store(start, place)
        return found

    def add_total(self, place: Any, data: Any, index: int) -> None:
        """Add the sum of the numbers of a vector to an entry of a float64 array."""
        at = self.b.gep(data, [ir.Constant(I64, index)])
        self.b.store(self.b.fadd(self.b.load(at), self.total(self.b.load(place))), at)
