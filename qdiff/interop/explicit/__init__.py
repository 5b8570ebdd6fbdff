"""Programs whose conditions read classical memory only, and what is known of that memory.

program: the rewriting · ranges: which values counters have · bits: which of them are a few bits
stores: expressions where counters are known · commuting: sums of Pauli words that rotate one by one
"""

from qdiff.interop.explicit.program import Explicit as Explicit
from qdiff.interop.explicit.program import Inexpressible as Inexpressible
from qdiff.interop.explicit.program import explicit as explicit
