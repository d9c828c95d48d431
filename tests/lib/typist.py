#!/usr/bin/env python3
"""Types into a terminal as a person does: waits for what the screen says, then types, slowly or all at once.

usage: typist.py SCENES MODE OUT [--transcripts DIR] -- COMMAND...

SCENES: a Python file that defines scenes(mode): a list of (name, steps). A step is (kind, text):
  "wait"    until this regular expression is in the output since the last step
  "type"    ordinary text
  "secret"  text that must not be in the record
MODE: slow (key by key) or chunk. COMMAND: opens a terminal session. OUT: what was typed and is no secret, byte for byte.
With --transcripts each scene's bytes of both directions go to DIR/NAME.MODE: lines of "i HEX", "s HEX" (a secret), "o HEX".
"""
import os
import pty
import re
import runpy
import select
import signal
import sys
import time

WAIT_S = 60


class Terminal:
    def __init__(self, command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], command)
        self.seen = b""
        self.log = []

    def read(self, timeout):
        ready, _, _ = select.select([self.fd], [], [], timeout)
        if not ready:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        if not data:
            raise EOFError
        self.seen += data
        self.log.append(("o", data))
        return True

    def wait(self, pattern):
        end = time.monotonic() + WAIT_S
        while True:
            m = re.search(pattern.encode(), self.seen)
            if m:
                self.seen = self.seen[m.end():]
                return
            left = end - time.monotonic()
            if left <= 0 or not self.read(left):
                raise TimeoutError(f"{pattern!r} did not come; the screen says {self.seen[-400:]!r}")

    def settle(self):
        """Until the output has paused: a program that switches echo off has done so."""
        while self.read(0.15):
            pass

    def type(self, text, slow, secret=False):
        self.settle()
        parts = [text[i:i + 1] for i in range(len(text))] if slow else [text]
        for part in parts:
            data = part.encode()
            self.log.append(("s" if secret else "i", data))
            os.write(self.fd, data)
            if slow:
                self.read(0.04)


def play(t, name, steps, slow, out):
    for kind, text in steps:
        if kind == "wait":
            t.wait(text)
        elif kind == "secret":
            t.type(text, slow, secret=True)
        else:
            t.type(text, slow)
            out.write(text.encode())


def main():
    at = sys.argv.index("--")
    args, command = sys.argv[1:at], sys.argv[at + 1:]
    scenes, mode, out_name = args[:3]
    folder = args[args.index("--transcripts") + 1] if "--transcripts" in args else None
    t = Terminal(command)
    status = 0
    with open(out_name, "wb") as out:
        for name, steps in runpy.run_path(scenes)["scenes"](mode):
            t.log = []
            try:
                play(t, name, steps, mode == "slow", out)
            except (TimeoutError, EOFError) as e:
                print(f"{name}: {e}", file=sys.stderr)
                status = 1
                break
            if folder:
                with open(os.path.join(folder, f"{name}.{mode}"), "w", encoding="ascii") as f:
                    for kind, data in t.log:
                        f.write(f"{kind} {data.hex()}\n")
    try:
        while t.read(5):
            pass
    except EOFError:
        pass
    os.kill(t.pid, signal.SIGHUP)
    os.close(t.fd)
    os.waitpid(t.pid, 0)
    return status


sys.exit(main())
