"""Programs that the tests of the command line write to files."""

WALK = """\
qubit: q, r
para:  t, w[2]
count: c
Ry(w[0])[q]; Rx(w[1])[r];
while{5} M[r] = 0 do
    Z[q]; Ry(-w[0])[q];
    C_Ry(t)[q][r]; Rx(w[1])[r];
    if c <= 3 then c++ fi
od
"""

TURN = "qubit: q\npara: t\nRy(t)[q]\n"

AT = ("-p", "t=1.4", "-p", "w=0.1,0.2")

DOUBLING = """\
qubit: q
para: t
count: c
Ry(t)[q];
while M[q] = 1 do c := 2*c + 1; q := |0>; Ry(t)[q] od
"""

COUNTING = """\
qubit: q
para: t
count: c
Ry(t)[q];
while M[q] = 1 do c++; q := |0>; Ry(t)[q] od
"""
