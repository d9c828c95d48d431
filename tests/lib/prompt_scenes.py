"""More programs that ask for secrets, also in other languages: transcripts of them are in tests/data/prompts.

typist.py prompt_scenes.py slow OUT --transcripts DIR -- bash --norc -i, with PROMPT_DIR (a folder for files), PROMPT_PORT (a web server
that answers 401), and LOCPATH where the locales are that are wanted. What is not installed is left out.
"""
import os
import shutil

READY = r"ready> $"
LANGUAGES = {"de": "de_DE.UTF-8", "fr": "fr_FR.UTF-8", "es": "es_ES.UTF-8", "ja": "ja_JP.UTF-8"}


def programs():
    work = os.environ["PROMPT_DIR"]
    url = "http://127.0.0.1:" + os.environ["PROMPT_PORT"]

    def s(name):
        return ("secret", f"Zq7{name}W9k\r")

    def w(text):
        return ("wait", text)

    yield "ansible-vault", "ansible-vault", f"ansible-vault encrypt {work}/plain", [
        w("assword: $"), s("vault"), w("assword: $"), s("vault")]
    yield "zip-e", "zip", f"zip -e {work}/a.zip {work}/zipped", [w("assword: $"), s("zip"), w("assword: $"), s("zip")]
    yield "git-https", "git", f"git clone {url}/x {work}/clone", [
        w("Username for .*: $"), ("type", "alice\r"), w("Password for .*: $"), s("git")]
    yield "docker-login", "docker", f"docker --config {work}/docker login -u alice 127.0.0.1:{os.environ['PROMPT_PORT']}", [
        w("assword: $"), s("docker")]
    yield "openssl-enc", "openssl", f"openssl enc -aes-256-cbc -pbkdf2 -in {work}/zipped -out {work}/enc", [
        w("assword:$"), s("openssl"), w("assword:$"), s("openssl")]
    yield "ssh-keygen", "ssh-keygen", f"ssh-keygen -q -t ed25519 -f {work}/key", [
        w("passphrase.*: $"), s("keygen"), w("again: $"), s("keygen")]
    yield "read-s", "bash", "read -s x", [s("read")]
    yield "getpass", "python3", "python3 -c 'import getpass; getpass.getpass()'", [w("assword: $"), s("getpass")]
    yield "vim-x", "vim", f"vim -u NONE -x {work}/crypt", [
        w("key: "), s("vim"), w("again: "), s("vim"), w("crypt"), ("type", ":q!\r")]
    yield "mysql", "mysql", "mysql -u x -p -h 127.0.0.1 -P 1", [w("assword: $"), s("mysql")]
    for lang, locale in [("en", "C.UTF-8")] + list(LANGUAGES.items()):
        env = f"LC_ALL={locale} "
        yield f"psql-{lang}", "psql", f"{env}psql -W -h 127.0.0.1 -p 1 -U x", [w("(:|：) ?$"), s("psql")]
        yield f"cryptsetup-{lang}", "cryptsetup", (
            f"truncate -s 20M {work}/disk; {env}cryptsetup -q luksFormat --pbkdf-force-iterations 1000 --pbkdf pbkdf2 {work}/disk"), [
            w("(:|：) ?$"), s("luks")]
        yield f"gpg-{lang}", "gpg", (f"{env}gpg --homedir {work} --yes --pinentry-mode loopback -o {work}/out -c {work}/zipped"), [
            w("(:|：) ?$"), s("gpg")]


def scenes(mode):
    del mode
    yield "start", [("wait", r"[$#>] $"), ("type", "PS1='ready> '\r"), ("wait", READY)]
    for name, needs, command, steps in programs():
        if shutil.which(needs) is None:
            continue
        yield name, [("type", command + "\r")] + steps + [
            ("wait", READY), ("type", f"echo after-{name}\r"), ("wait", f"after-{name}\r\n(.|\r|\n)*{READY}")]
    yield "end", [("type", "exit\r")]
