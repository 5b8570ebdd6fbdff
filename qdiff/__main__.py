"""`python -m qdiff` is the command line, as `qdiff` is."""

import sys

from qdiff.cli import main

if __name__ == "__main__":
    sys.exit(main())
