"""How to estimate values and derivatives from runs, with honest errors."""
