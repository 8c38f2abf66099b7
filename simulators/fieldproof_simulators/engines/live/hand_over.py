"""Run by rsync in the place of a remote shell: gives its two pipes to whoever started it all.

Its one argument is a socket that it inherited; over that go its standard input and output. It needs
nothing but the standard library, and ends at once.
"""

import socket
import sys

if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as starter:
        socket.send_fds(starter, [b"."], [0, 1])
