"""Text to programs: how a `.qprog` text, an observable or a constant is read, and what is said of errors.

`parser.parse` is the door. A text is scanned for size and depth (`scan`), cut into tokens (`tokens`), reduced
by `grammar.lark` to the nodes of `syntax` (`build`, `precedence`), and elaborated into a tree: names
resolved (`declarations`, `names`, `references`, `resolve`, `places`), `for` unrolled and procedures inlined
(`unrolling`, `elaborate`). `unexpected` and `characters` word what does not fit; `advice` warns of
what fits and may mislead; `observable_text` and `constants` read the two other kinds of text.
"""
