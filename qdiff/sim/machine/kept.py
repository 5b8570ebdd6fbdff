"""Compiled code on disk that a new process has ready at once.

Before Numba looks for a function on disk, it imports all that compiling may ask for, SciPy's linear algebra
among it: half a second. Code that is ready asks for none of it; where there is none, the compiler imports it.
"""

from __future__ import annotations

from typing import Any

from numba.core.caching import FunctionCache


class _Kept(FunctionCache):
    """Numba's cache of one function."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load the code for these types; None where there is none."""
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]


def kept(dispatcher: Any) -> Any:
    """Keep what Numba compiles for a function on disk, and return the function.

    It must have been compiled with `_nrt=False`: code that allocates calls a runtime that Numba starts with
    the rest.
    """
    if dispatcher.targetoptions.get("_nrt", True):
        raise ValueError(f"`{dispatcher.__name__}` may allocate: compile it with _nrt=False.")
    dispatcher._cache = _Kept(dispatcher.py_func)  # type: ignore[no-untyped-call]
    return dispatcher
