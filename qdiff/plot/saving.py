"""Saving a picture: under its name there is the old file or the whole new one, never a part."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from qdiff.errors import QdiffError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def picture_format(path: str | os.PathLike[str]) -> str:
    """The format that a path's suffix names, "" if it has none."""
    return Path(path).suffix.removeprefix(".").lower()


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Save a figure in the format of the path's suffix; through a link, what it leads to is replaced.

    Raises:
        QdiffError: a folder that does not exist, a suffix that is no picture format, no permission.
    """
    if not picture_format(path):
        raise QdiffError(
            f"The picture `{os.fspath(path)}` needs a suffix that says its format, such as .png."
        )
    target = Path(os.path.realpath(path))
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    content = io.BytesIO()
    try:
        figure.savefig(content, format=picture_format(path))
        try:
            part.write_bytes(content.getvalue())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise QdiffError(f"The picture `{os.fspath(path)}` cannot be written: {reason}.") from error
