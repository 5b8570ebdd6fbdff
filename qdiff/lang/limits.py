"""How large and how deep a program may be, whether it comes as a text or as a tree."""

DEEPEST = 500  # nesting of blocks, brackets and chains of prefix operators
MOST_NODES = 10_000_000  # of expressions, after unrolling
