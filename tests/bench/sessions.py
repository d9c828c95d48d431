"""Real sessions through a bastion: what people do on terminals, typed key by key, and programs that print.

    sessions.py COUNT -- SSH ARGUMENTS ... LOGIN     COUNT sessions, four at a time; every one ends by itself.

Each is a shell on a terminal of its own, with the pauses of a person in a hurry. Prints how many sessions ended well.
"""

import os
import pty
import select
import signal
import struct
import sys
import termios
import threading
import time
import fcntl

KEY_PAUSE = 0.006  # between keys
LINE_PAUSE = 0.15  # after a line, for what it prints
DEADLINE = 60      # of one session

# What is typed: lines; a tuple is keys for a program that runs, with a pause behind each.
SHORT = [["ls"], ["id", "uptime"], ["df -h", "free"], ["cat /etc/hostname", "date", "who"], ["echo ok; false"],
         ["cd /etc", "ls", "cat fstab"], ["ps", "tty"], ["uname -a"]]
WORK = [
    ["ls -l /usr/share", "cd /etc", "ls -l", "cat passwd", "grep -n root passwd group", "history | tail -n 5"],
    ["git -C $REPO log --no-color | head -n 400"],
    ["git -C $REPO --no-pager log -p --color=always -n 6"],
    ["git -C $REPO --no-pager log --stat -n 30", "git -C $REPO status", "git -C $REPO --no-pager diff HEAD~2 --stat"],
    ["ls -lR /usr/share/doc | head -n 6000"],
    ["ls -lR --color=always /etc", "find /etc -name '*.conf' | sort"],
    ["top -b -n 3 -d 0.3", "free -h", "vmstat 1 2"],
    ["top -d 0.2", (" ", "M", " ", "c", " ", "P", " ", "q")],
    ["vim -u NONE -n $REPO/README", ("/bastion\r", "n", "n", "dd", "p", "iwhat a person types\x1b", "u", ":set nu\r", "G", "gg",
                                     ":%s/the/THE/g\r", "u", ":q!\r")],
    ["vim -u NONE -n -c 'syntax on' $REPO/recorder/session.c", ("\x06", "\x06", "\x06", "\x02", "/static\r", "n", "n", "n",
                                                              "100G", "zz", "yy", "10p", "u", ":q!\r")],
    ["less $REPO/ARCHITECTURE.md", (" ", " ", " ", "b", "/recorder\r", "n", "n", "G", "g", "q")],
    ["less /etc/services", (" ", " ", " ", " ", "b", "/http\r", "n", "G", "q")],
    ["mkdir -p $WORK/m && cd $WORK/m && make -f $REPO/tests/bench/sessions.mk -j2"],
    ["for i in $(seq 1 300); do printf '\\rprogress %d%%' $((i / 3)); done; echo", "seq 1 2000 | column -c 80"],
    ["dpkg -l | head -n 300", "apt-cache show gcc | head -n 60"],
    ["dmesg 2>/dev/null | tail -n 100", "cat /proc/cpuinfo /proc/meminfo", "mount"],
]


def read_for(fd, seconds, until=None):
    """Take what comes for so long. False: it has ended."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if fd in select.select([fd], [], [], left)[0]:
            try:
                data = os.read(fd, 65536)
            except OSError:
                return False
            if not data:
                return False
            if until and until in data:
                return True
    return True


def type_keys(fd, text):
    for ch in text:
        os.write(fd, ch.encode())
        if not read_for(fd, KEY_PAUSE):
            return False
    return True


def session(argv, script, env):
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe(argv[0], argv, env)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    alarm = threading.Timer(DEADLINE, lambda: os.kill(pid, signal.SIGKILL))
    alarm.start()
    try:
        read_for(fd, 5, b"$ ")
        for step in script:
            if isinstance(step, tuple):
                for keys in step:
                    type_keys(fd, keys)
                    read_for(fd, LINE_PAUSE)
            else:
                type_keys(fd, step + "\r")
                read_for(fd, LINE_PAUSE)
        type_keys(fd, "exit 7\r")
        while read_for(fd, 1):
            pass
    except OSError:
        pass
    _, status = os.waitpid(pid, 0)
    alarm.cancel()
    os.close(fd)
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 7


def main():
    count = int(sys.argv[1])
    argv = sys.argv[3:]
    scripts = [(SHORT if i % 2 else WORK)[(i // 2) % len(SHORT if i % 2 else WORK)] for i in range(count)]
    good, lock, todo = [0], threading.Lock(), list(scripts)

    def worker():
        while True:
            with lock:
                if not todo:
                    return
                script = todo.pop(0)
            ok = session(argv, script, os.environ)
            with lock:
                good[0] += ok
                if not ok:
                    print("not ended well:", script, file=sys.stderr)

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(good[0])


main()
