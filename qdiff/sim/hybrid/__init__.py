"""The exact engine: density operators for each combination of program point and counters.

`engine` is the door; `graph` follows the program, `solver` solves forwards and backwards, `correlate`
sums up derivatives and counts, `analysis` says what it all means.
"""
