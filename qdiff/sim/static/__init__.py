"""Programs that never measure: one pure state, one path.

engine          exact values and derivatives; which mechanism finds them
line            the path of a program; second derivatives along it, gate by gate
angles          all angles of a path for many sets of parameters; `angle_kernels`: its loops

Small registers: sets of parameters side by side.

lanes           a path, ready to be asked
turns           gates as rotations of planes of real numbers
lane_tables     a path as tables; `lane_kernels`: what runs them; `lane_vectors`: its vectors

Large registers: gates three qubits at a time, block by block.

large           a path, ready to be asked; `coefficients`: the matrices of its gates
schedule        gates gathered into groups; `layout`: where qubits are; `group_tables`: both as tables
groups          runs them; `buffers`: memory that calls leave for the next ones
group_kernels   compiled: blocks and steps; `group_vectors`: their vectors; `group_matrices`: small matrices
group_sizes     of groups and blocks; `threads`: what threads share

Observables of large registers.

operators       which of the two; `operator_parts`: what they share; `state_arrays`: what they are applied to
grouped_terms   sums of products of letters; `term_tables`, `term_kernels`, `term_vectors`: their loops
sparse_terms    sparse matrices; `sparse_kernels`: their loops

vectors         instructions on SIMD vectors, for all of them; `vector_sizes`: how long they are
"""
