"""Replacement rules: how a primitive that depends on a parameter is differentiated by running programs."""
