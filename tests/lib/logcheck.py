#!/usr/bin/env python3
"""A second verifier of the log, written from the formats alone, in another language.

It shares no code with bastiond and uses only Python's standard library; Ed25519 is RFC 8032's, written out below.
It reads what bastionctl gives to everybody: the first public key, the leaves (log --leaves), checkpoints, proofs.

  logcheck.py --key recorder.pub --leaves LEAVES [--checkpoint FILE] [--proof FILE] [--growth FILE] [--newest FILE]

Exit status 0: everything holds; 1: something does not, and a line says what.
"""
import argparse
import base64
import hashlib
import json
import struct
import sys

# Ed25519 (RFC 8032 section 5.1), verification only.
P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


class Bad(Exception):
    pass


def add(a, b):
    x = (a[1] - a[0]) * (b[1] - b[0]) % P
    y = (a[1] + a[0]) * (b[1] + b[0]) % P
    z = 2 * a[3] * b[3] * D % P
    w = 2 * a[2] * b[2] % P
    e, f, g, h = y - x, w - z, w + z, y + x
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(n, point):
    out = (0, 1, 1, 0)
    while n > 0:
        if n & 1:
            out = add(out, point)
        point = add(point, point)
        n >>= 1
    return out


def same(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def recover_x(y, sign):
    if y >= P:
        raise Bad('a point that is none')
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if x2 == 0:
        if sign:
            raise Bad('a point that is none')
        return 0
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P != 0:
        x = x * SQRT_M1 % P
    if (x * x - x2) % P != 0:
        raise Bad('a point that is none')
    return P - x if (x & 1) != sign else x


def point_of(data):
    y = int.from_bytes(data, 'little')
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = recover_x(y, sign)
    return (x, y, 1, x * y % P)


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = recover_x(BASE_Y, 0)
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def verifies(key, message, signature):
    if len(key) != 32 or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], 'little')
    if s >= Q:
        return False
    try:
        a, r = point_of(key), point_of(signature[:32])
    except Bad:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), 'little') % Q
    return same(multiply(s, BASE), add(r, multiply(h, a)))


# RFC 6962 section 2.1.
def leaf_hash(data):
    return hashlib.sha256(b'\0' + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b'\1' + left + right).digest()


def split(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def root(hashes):
    if not hashes:
        return hashlib.sha256(b'').digest()
    if len(hashes) == 1:
        return hashes[0]
    k = split(len(hashes))
    return node_hash(root(hashes[:k]), root(hashes[k:]))


# RFC 9162 section 2.1.3.2 and section 2.1.4.2.
def included(proof, index, size, leaf, want):
    if index >= size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn != 0:
                fn >>= 1
                sn >>= 1
        else:
            r = node_hash(r, p)
        fn >>= 1
        sn >>= 1
    return sn == 0 and r == want


def consistent(proof, first, second, first_root, second_root):
    if first == second:
        return not proof and first_root == second_root
    if first == 0:
        return not proof
    if not proof or first > second:
        return False
    if first & (first - 1) == 0:
        proof = [first_root] + proof
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    fr = sr = proof[0]
    for c in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn != 0:
                fn >>= 1
                sn >>= 1
        else:
            sr = node_hash(sr, c)
        fn >>= 1
        sn >>= 1
    return sn == 0 and fr == first_root and sr == second_root


# c2sp.org/signed-note and c2sp.org/tlog-checkpoint.
def key_id(name, key):
    return hashlib.sha256(name.encode() + b'\n\x01' + key).digest()[:4]


def parse_vkey(line):
    name, hexid, blob = line.strip().split('+', 2)
    blob = base64.b64decode(blob, validate=True)
    if blob[0] != 1 or len(blob) != 33 or key_id(name, blob[1:]).hex() != hexid:
        raise Bad('not a verifier key: ' + line)
    return name, blob[1:]


def parse_note(note):
    text, _, signatures = note.rpartition('\n\n')
    text += '\n'
    lines = text.split('\n')
    origin, size, want = lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True)
    signed = []
    for line in signatures.splitlines():
        dash, name, blob = line.split(' ')
        blob = base64.b64decode(blob, validate=True)
        if dash != '\u2014':
            raise Bad('not a signature line')
        signed.append((name, blob[:4], blob[4:]))
    return text.encode(), origin, size, want, signed


class Log:
    def __init__(self, leaves, name, first):
        self.leaves = leaves
        self.hashes = [leaf_hash(x) for x in leaves]
        self.keys = []  # (leaf, name, key), each from its leaf on
        for i, data in enumerate(leaves):
            if data[0] != 1:
                raise Bad('leaf %d: of another version' % i)
            if data[1] == 1:
                if i != 0:
                    raise Bad('leaf %d: a log begins once' % i)
                n, = struct.unpack('>I', data[30:34])
                self.origin = data[34:34 + n].decode()
            if data[1] == 2:
                self.take_key(i, data[10:])
        if not self.keys or (name, first) != self.keys[0][1:]:
            raise Bad('the log does not begin with the trusted key')

    def take_key(self, i, data):
        key = data[:32]
        n, = struct.unpack('>I', data[32:36])
        name, signature = data[36:36 + n].decode(), data[36 + n:]
        if self.keys:
            message = b'bastiond-key-v1\0' + struct.pack('>Q', i) + root(self.hashes[:i]) + key
            if not verifies(self.keys[-1][2], message, signature):
                raise Bad('leaf %d: the key before it did not sign this one' % i)
        elif i != 1 or signature:
            raise Bad('leaf %d: not how keys begin' % i)
        self.keys.append((i, name, key))

    def key_at(self, leaf):
        return [k for k in self.keys if k[0] <= leaf][-1]

    def check_note(self, note):
        """Signed by the key in force, and about a prefix of these leaves. Returns its size and root."""
        text, origin, size, want, signed = parse_note(note)
        if origin != self.origin:
            raise Bad('a checkpoint of another log: ' + origin)
        if size < 1 or size > len(self.leaves):
            raise Bad('a checkpoint over %d leaves, here are %d' % (size, len(self.leaves)))
        _, name, key = self.key_at(size - 1)
        mine = [s for n, i, s in signed if n == name and i == key_id(name, key)]
        if not mine or not all(verifies(key, text, s) for s in mine):
            raise Bad('the checkpoint over %d leaves is not signed by the key in force' % size)
        if root(self.hashes[:size]) != want:
            raise Bad('the checkpoint over %d leaves is not about these' % size)
        return size, want

    def check_proof(self, text):
        """c2sp.org/tlog-proof@v1 whose extra data is the leaf."""
        head, _, note = text.partition('\n\n')
        lines = head.split('\n')
        if lines[0] != 'c2sp.org/tlog-proof@v1' or not lines[1].startswith('extra '):
            raise Bad('not a proof')
        leaf = base64.b64decode(lines[1][6:], validate=True)
        index = int(lines[2].removeprefix('index '))
        hashes = [base64.b64decode(x, validate=True) for x in lines[3:]]
        size, want = self.check_note(note)
        if not included(hashes, index, size, leaf_hash(leaf), want):
            raise Bad('the proof does not show leaf %d' % index)
        if self.leaves[index] != leaf:
            raise Bad('leaf %d is another one' % index)

    def check_growth(self, text):
        """The body of a witness's add-checkpoint request."""
        head, _, note = text.partition('\n\n')
        lines = head.split('\n')
        old = int(lines[0].removeprefix('old '))
        hashes = [base64.b64decode(x, validate=True) for x in lines[1:] if x]
        size, want = self.check_note(note)
        if not consistent(hashes, old, size, root(self.hashes[:old]), want):
            raise Bad('the proof does not show that %d leaves grew to %d' % (old, size))


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def notes_of(text):
    """Several notes, one behind the other."""
    out, lines, signed = [], [], False
    for line in text.splitlines(keepends=True):
        if signed and not line.startswith('\u2014'):
            out.append(''.join(lines))
            lines, signed = [], False
        if lines or line != '\n':
            lines.append(line)
        signed = signed or line.startswith('\u2014')
    if lines:
        out.append(''.join(lines))
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--key', required=True)
    p.add_argument('--leaves', required=True)
    p.add_argument('--checkpoint', action='append', default=[])
    p.add_argument('--proof', action='append', default=[])
    p.add_argument('--growth', action='append', default=[])
    p.add_argument('--newest')
    a = p.parse_args()
    try:
        rows = [json.loads(x) for x in read(a.leaves).splitlines()]
        if [r['leaf'] for r in rows] != list(range(len(rows))):
            raise Bad('leaves are missing')
        log = Log([base64.b64decode(r['data'], validate=True) for r in rows],
                  *parse_vkey(read(a.key)))
        n = 0
        for path in a.checkpoint:
            for note in notes_of(read(path)):
                log.check_note(note)
                n += 1
        for path in a.proof:
            log.check_proof(read(path))
        for path in a.growth:
            log.check_growth(read(path))
        if a.newest and parse_vkey(read(a.newest)) != log.keys[-1][1:]:
            raise Bad('that is not the newest key')
    except (Bad, ValueError, KeyError, IndexError, struct.error) as e:
        print('no: %s' % e)
        return 1
    print('yes: leaves %d, keys %d, checkpoints %d' % (len(log.leaves), len(log.keys), n))
    return 0


sys.exit(main())
