"""Several real nodes on one machine; see docs/hacking.md, "A cluster on one machine".

system      the system calls that Python has no name for
store       what is known of a cluster: its directory, keys, addresses, state
network     the switch and the links, as batches for ip(8) and tc(8), and their faults
node        what one node does from its first fork to its last child
supervisor  the process that owns a cluster: its nodes live and die with it
enter       running a command inside a node
left        what is in a node that the cluster did not put there
"""
