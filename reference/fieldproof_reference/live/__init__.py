"""The driver in real time: one thread and a selector around the nodes of one host.

clock     the host's clock: the system's, or one that a harness writes
events    what is said and what the driver knows, one JSON line each
humanlog  the same for people, and how things stand once a minute
sound     whether what a node asks for is an effect at all
disk      real files below one folder
syncer    the thread that waits for the disk
loop      file descriptors and times
ports     UDP
streams   TCP
lines     serial lines
driver    nodes, their queue and their deadlines: the laws of the contract
process   all of this put together, signals, a clean end
"""
