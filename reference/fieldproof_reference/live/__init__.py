"""The driver in real time: one thread and a selector around the nodes of one host.

process   a host as a process: put together, signals, a clean end
loop      file descriptors and times: where it waits
driver    nodes, their queue and their deadlines: the laws of the contract
sound     whether what a node asks for is an effect at all
hands     carries out what nodes ask for
disk      real files below one folder
tree      finds files there, and lets no path lead out
view      a folder that another program writes
syncer    the thread that waits for the disk
lines     serial lines
ports     UDP
streams   TCP
engines   children that do nodes' jobs
clock     the host's clock: the system's, or one that a harness writes
events    what is said and what the driver knows, one JSON line each
humanlog  the same for people, and how things stand once a minute
"""
