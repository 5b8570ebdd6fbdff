"""The syntax of the bounded-loop artifact (`.prog`): how its texts become programs.

    q1 := |0>;  X(t1)[q1];  XX(t2)[q1,q2];
    case M[q1] = 0 then Z(t1)[q2] else skip()[q2] end;
    while{2} M[q2] = 1 do H()[q1]; CNOT()[q1,q2] od

Nothing is declared: qubits are q1, q2, … and parameters t1, t2, … as they are mentioned. `reader.read` is
the door; `grammar.lark` and `build` make the tree, `unexpected` words what does not fit.
Source: Zhu, Hung, Chakrabarti and Wu, "On the principles of differentiable quantum programming
languages", PLDI 2020, and its published artifact.
"""
