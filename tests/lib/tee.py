#!/usr/bin/env python3
"""Stands in for ssh: runs the remote command here and writes what crosses to a file, both ways in order.

usage: tee.py LOG [options] HOST COMMAND...

LOG: u32 length and the command, then for each piece u8 way (0 to the command, 1 from it, 2 its exit status), u32 length, bytes.
Big-endian.
What comes from the command is written before it goes on, and so is what goes to it: the order is one that a wire could see.
"""
import os
import select
import struct
import subprocess
import sys

WITH_VALUE = "bcDEeFIiJLlmOopQRSWw"


def put(fd, data):
    """All of it, also where the other end was made non-blocking by somebody; nothing when nobody reads."""
    while data:
        try:
            data = data[os.write(fd, data):]
        except BlockingIOError:
            select.select([], [fd], [])
        except BrokenPipeError:
            break


def main():
    log = open(sys.argv[1], "wb", buffering=0)
    args = sys.argv[2:]
    while args and args[0].startswith("-"):
        option = args.pop(0)
        if option == "--":
            break
        if len(option) == 2 and option[1] in WITH_VALUE:
            args.pop(0)
    command = " ".join(args[1:]).encode()
    log.write(struct.pack(">I", len(command)) + command)
    child = subprocess.Popen([b"/bin/sh", b"-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    ways = {0: (0, child.stdin.fileno()), child.stdout.fileno(): (1, 1)}
    while child.stdout.fileno() in ways:
        for fd in select.select(list(ways), [], [])[0]:
            way, to = ways[fd]
            data = os.read(fd, 32768)
            if data:
                log.write(struct.pack(">BI", way, len(data)) + data)
                put(to, data)
            else:
                del ways[fd]
                if way == 0:
                    child.stdin.close()
    status = child.wait() & 0xFF
    log.write(struct.pack(">BIB", 2, 1, status))
    sys.exit(status)


main()
