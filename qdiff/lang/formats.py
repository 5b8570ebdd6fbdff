"""Named readers (file suffix → program), writers (name → text), exporters (name → object) and drawers.

A package adds to them by entry points in the group `qdiff.formats`: an entry whose name begins with a point
is the reader of that suffix, one that begins with "plot:" the drawer of that kind of result, one that begins
with "export:" the exporter to another library, any other the writer of that name. They are loaded when asked
for. Drawers and exporters stand here so that programs and results of lower layers have a `plot()` or a
`to_qiskit()`: pictures and circuits are made above them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeAlias, TypeVar

from qdiff.errors import QdiffError, did_you_mean, listed
from qdiff.lang.printer import program_text
from qdiff.lang.tree import Program

F = TypeVar("F")

Reader: TypeAlias = Callable[[str, str], Program]  # (text, name of the file) → program
Writer: TypeAlias = Callable[[Program], str]
Exporter: TypeAlias = Callable[..., Any]  # (program, params, options) → an object of another library
Drawer: TypeAlias = Callable[..., Any]  # (result, path=None) → matplotlib Figure, saved if there is a path

GROUP = "qdiff.formats"
PLOT, EXPORT = "plot:", "export:"


class Registry(Generic[F]):
    """Things by name: a name is given once, and a miss lists what there is.

    Args:
        kind: what messages call one of them: "reader", "writer", "exporter", "drawer".
        admits: which entry points belong here, by name.
    """

    def __init__(self, kind: str, admits: Callable[[str], bool]) -> None:
        self.kind = kind
        self._admits = admits
        self._entries: dict[str, F] = {}

    def register(self, name: str, entry: F) -> F:
        """Add an entry.

        Raises:
            QdiffError: the name is taken, or is none for this kind.
        """
        if not name or not self._admits(name):
            raise QdiffError(f"`{name}` cannot be the name of a {self.kind}.")
        if name in self._entries:
            raise QdiffError(f"There is a {self.kind} `{name}` already.")
        self._entries[name] = entry
        return entry

    def find(self, name: str) -> F:
        """Return the entry of a name.

        Raises:
            QdiffError: there is none; lists those that exist.
        """
        if name not in self._entries:
            offered = {point.name: point for point in self._entry_points()}
            if name not in offered:
                known = self.names()
                hint = did_you_mean(name, known)
                raise QdiffError(f"There is no {self.kind} `{name}`. Known: {listed(known)}. {hint}".rstrip())
            self._entries[name] = _loaded(offered[name], self.kind)
        return self._entries[name]

    def names(self) -> tuple[str, ...]:
        """The names of all entries, those of other packages too, sorted."""
        return tuple(sorted({*self._entries, *(point.name for point in self._entry_points())}))

    def _entry_points(self) -> Iterator[EntryPoint]:
        seen: set[str] = set()
        for point in entry_points(group=GROUP):
            if not self._admits(point.name) or point.name in self._entries:
                continue
            if point.name in seen:
                raise QdiffError(f"Two packages offer a {self.kind} `{point.name}`: uninstall one of them.")
            seen.add(point.name)
            yield point


def _loaded(point: EntryPoint, kind: str) -> F:  # type: ignore[type-var]
    try:
        entry: F = point.load()
    except Exception as error:  # whatever another package does when it is imported
        raise QdiffError(f"The {kind} `{point.name}` ({point.value}) cannot be loaded: {error}") from error
    return entry


readers: Registry[Reader] = Registry("reader", lambda name: name.startswith("."))
writers: Registry[Writer] = Registry("writer", lambda name: not name.startswith((".", PLOT, EXPORT)))
drawers: Registry[Drawer] = Registry("drawer", lambda name: name.startswith(PLOT))
exporters: Registry[Exporter] = Registry("exporter", lambda name: name.startswith(EXPORT))
writers.register("text", program_text)
