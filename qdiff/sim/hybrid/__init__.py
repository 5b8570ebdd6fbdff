"""The hybrid engine: density operators for each combination of program point and counters.

`engine` is the door; `explorer` follows the program, `solver` solves forwards and backwards, `correlate`
and `second_order` sum up derivatives, `analysis` and `bounds` say what it all means and how exact it is.
"""
