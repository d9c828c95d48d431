"""Programs that ask for secrets, each between two ordinary commands. Those that are not installed are left out."""
import os
import shutil

READY = r"ready> $"


def secret(name, mode):
    return f"Zq7{name}{mode}W9k"


def programs(mode):
    who = "" if os.getuid() != 0 else "setpriv --reuid=65534 --regid=65534 --clear-groups "
    work = os.environ["TYPED_DIR"]
    port = os.environ["TYPED_PORT"]
    user = os.environ["TYPED_USER"]

    def s(name):
        return ("secret", secret(name, mode) + "\r")

    yield "read-s", None, "read -s x", [s("read")]
    yield "read-s-prompt", None, "read -s -p 'Magic: ' x", [("wait", "Magic: $"), s("readp")]
    yield "sudo", "sudo", f"{who}sudo -k true", [
        ("wait", "password for [a-z0-9]+: $"), s("sudo"), ("wait", "try again"),
        ("wait", "password for [a-z0-9]+: $"), s("sudo2"), ("wait", "try again"),
        ("wait", "password for [a-z0-9]+: $"), ("secret", "\x03")]
    yield "su", "su", f"{who}su root", [("wait", "assword: $"), s("su")]
    yield "passwd", "passwd", f"{who}passwd", [
        ("wait", "assword: $"), s("passwd"), ("wait", "assword: $"), s("passwd2")]
    yield "ssh", "ssh", (f"ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "
                         f"-o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 -p {port} {user}@127.0.0.1"), [
        ("wait", "assword: $"), s("ssh")]
    yield "ssh-keygen", "ssh-keygen", f"ssh-keygen -q -t ed25519 -f {work}/key-{mode}", [
        ("wait", "passphrase.*: $"), s("keygen"), ("wait", "again: $"), s("keygen")]
    yield "mysql", "mysql", "mysql -u x -p -h 127.0.0.1 -P 1", [("wait", "assword: $"), s("mysql")]
    yield "psql", "psql", "psql -W -h 127.0.0.1 -p 1 -U x", [("wait", "assword: $"), s("psql")]
    yield "gpg-loopback", "gpg", (f"gpg --homedir {work} --batch --yes --pinentry-mode loopback -o {work}/out "
                                  f"--no-batch -c /etc/hostname"), [
        ("wait", "assphrase: $"), s("gpg")]
    yield "pinentry", "pinentry-curses", (f"printf 'OPTION ttyname=%s\\nOPTION ttytype=xterm\\nSETPROMPT Magic\\nGETPIN\\nBYE\\n'"
                                          f" \"$(tty)\" | pinentry-curses -T \"$(tty)\" >{work}/pin"), [
        ("wait", "OK"), s("pinentry")]
    yield "vim-x", "vim", f"vim -u NONE -x {work}/crypt-{mode}", [
        ("wait", "key: "), s("vim"), ("wait", "again: "), s("vim"), ("wait", "crypt-"), ("type", ":q!\r")]
    yield "getpass", "python3", "python3 -c 'import getpass; getpass.getpass()'", [("wait", "assword: $"), s("getpass")]
    yield "openssl-enc", "openssl", f"openssl enc -aes-256-cbc -pbkdf2 -in /etc/hostname -out {work}/enc", [
        ("wait", "assword:$"), s("openssl"), ("wait", "assword:$"), s("openssl")]
    yield "openssl-key", "openssl", f"openssl genpkey -algorithm ed25519 -aes256 -out {work}/pkey", [
        ("wait", "phrase:$"), s("genpkey"), ("wait", "phrase:$"), s("genpkey")]
    yield "curl", "curl", "curl -s -u x http://127.0.0.1:1/", [("wait", "'x':$"), s("curl")]
    yield "cryptsetup", "cryptsetup", (f"truncate -s 20M {work}/disk; "
                                       f"cryptsetup -q luksFormat --pbkdf-force-iterations 1000 --pbkdf pbkdf2 {work}/disk"), [
        ("wait", "assphrase.*: $"), s("luks")]
    yield "tmux", "tmux", f"tmux -S {work}/tmux-{mode} -f /dev/null new-session 'read -s x; exit'", [
        ("wait", r"\[0\]"), s("tmux")]


def scenes(mode):
    yield "start", [("wait", r"[$#>] $"), ("type", "PS1='ready> '\r"), ("wait", READY)]
    for name, needs, command, steps in programs(mode):
        if needs is not None and shutil.which(needs) is None or name == "ssh" and os.environ["TYPED_PORT"] == "1":
            continue
        yield name, [("type", f"echo before-{name}\r"), ("wait", f"before-{name}\r\n(.|\r|\n)*{READY}"),
                     ("type", command + "\r")] + steps + [
            ("wait", READY), ("type", f"echo after-{name}\r"), ("wait", f"after-{name}\r\n(.|\r|\n)*{READY}")]
    yield "end", [("type", "exit\r")]
