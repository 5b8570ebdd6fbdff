"""Files that a command will write, looked at before the work."""

from __future__ import annotations

import os
from pathlib import Path

from qdiff.cli.values import UsageError
from qdiff.errors import listed
from qdiff.plot.saving import picture_format

PICTURES = ("png", "pdf", "svg", "jpg", "jpeg", "webp", "tif", "tiff", "eps", "ps")


def check_writable(option: str, path: str) -> None:
    """Refuse a place where no file can be written; nothing is written here.

    Raises:
        UsageError: no name, a folder, a folder that does not exist, no permission.
    """
    if not path or "\0" in path:
        raise UsageError(f"{option} needs the name of a file.")
    target = Path(path)
    try:
        if target.is_dir():
            raise UsageError(f"{option} `{path}` is a folder. Name a file in it.")
        if not target.parent.is_dir():
            raise UsageError(f"{option} `{path}` cannot be written: there is no folder `{target.parent}`.")
        allowed = os.access(target if target.exists() else target.parent, os.W_OK)
    except OSError as error:
        raise UsageError(f"{option} `{path}` cannot be written: {error.strerror}.") from None
    if not allowed:
        raise UsageError(f"{option} `{path}` cannot be written: permission denied.")


def check_picture(option: str, path: str) -> None:
    """Refuse a path where no picture can be written.

    Raises:
        UsageError: as `check_writable`; a suffix that is no picture format.
    """
    check_writable(option, path)
    if picture_format(path) not in PICTURES:
        raise UsageError(f"{option} `{path}`: the suffix says the format, one of {listed(PICTURES)}.")
