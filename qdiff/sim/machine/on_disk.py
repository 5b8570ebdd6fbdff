"""Compiled code on disk that a new process has ready at once.

Numba keeps what it compiles, and this is its cache with three differences.

* Before Numba looks on disk it imports all that compiling may ask for, SciPy's linear algebra among it: half
  a second. Code that is ready asks for none of it; where there is none, the compiler imports it.
* Numba looks at the file of a function only. Here code is old as soon as any source has changed that may be
  part of it: the layout of `tables`, a number in `code`, a function of another file.
* A file that cannot be read is replaced; Numba would fail for ever.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache, IndexDataCacheFile

from qdiff.errors import QdiffError

FOLDER = Path(__file__).parents[1]
SOURCES = (
    *("machine/*.py", "merged/*.py", "pure/plan.py"),
    *("static/*kernels.py", "static/*sizes.py", "static/*matrices.py", "static/*vector*.py"),
)
"""What compiled functions of these folders are made of."""


@lru_cache(maxsize=1)
def stamp() -> tuple[tuple[str, float, int], ...]:
    """Name, time of the last change and size of every source."""
    files = sorted(file for pattern in SOURCES for file in FOLDER.glob(pattern))
    return tuple((file.name, file.stat().st_mtime, file.stat().st_size) for file in files)


class _Kept(FunctionCache):
    """The code of one function."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        own = self._impl.locator.get_source_stamp(), stamp()
        self._cache_file: Any = IndexDataCacheFile(  # type: ignore[no-untyped-call]
            cache_path=self._cache_path, filename_base=self._impl.filename_base, source_stamp=own
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load the code for these types; None where there is none that can be read."""
        try:
            return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except Exception:  # whatever a damaged file may raise
            self._cache_file.flush()
            return None


def kept(dispatcher: Any) -> Any:
    """Keep what Numba compiles for a function on disk, and return the function.

    It must have been compiled with `_nrt=False`: code that allocates calls a runtime that Numba starts with
    the rest.

    Raises:
        QdiffError: Numba was told not to compile.
    """
    if not hasattr(dispatcher, "targetoptions"):
        raise QdiffError("Shots run on compiled code, and NUMBA_DISABLE_JIT is set. Unset it.")
    if dispatcher.targetoptions.get("_nrt", True):
        raise ValueError(f"`{dispatcher.__name__}` may allocate: compile it with _nrt=False.")
    dispatcher._cache = _Kept(dispatcher.py_func)
    return dispatcher
