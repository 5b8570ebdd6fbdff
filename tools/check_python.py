"""Say what is missing before `make setup` begins: Python 3.11 or later, with venv and pip."""

import sys


def problem() -> str:
    """Return what stands in the way, or "" if nothing does. Runs on any Python 3."""
    if sys.version_info < (3, 11):
        version = ".".join(str(part) for part in sys.version_info[:3])
        return (
            f"qdiff needs Python 3.11 or later; {sys.executable} is {version}. Use: make PYTHON=python3.11 …"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return (
            f"{sys.executable} has no venv module. On Debian or Ubuntu: apt install python3-venv; on Fedora "
            "it is part of python3; or point make to another Python: make PYTHON=/path/to/python3 …"
        )
    return ""


if __name__ == "__main__":
    message = problem()
    if message:
        sys.exit(message)
