#!/usr/bin/env python3
"""Take a bundle apart and put it together again otherwise, with a digest that is right: what somebody does to one who has
everything but the signing key. A second implementation of the format in recorder/store_bundle.h.

bundle.py list FILE                     database, key in hex and length of each entry
bundle.py HOW FROM TO [ARGUMENT ...]    HOW:
    flip DB N OFFSET    change one byte of the N-th entry of a database (from 0)
    drop DB N           leave it out
    merge OTHER         the entries of another bundle as well
    add DB HEX TEXT     an entry more
"""
import hashlib
import struct
import sys

HEAD = b"bastiond-bundle\n" + struct.pack(">I", 1)


def read(name):
    data = open(name, "rb").read()
    assert data.startswith(HEAD)
    index, n = struct.unpack(">QQ", data[-48:-32])
    assert hashlib.sha256(data[:-32]).digest() == data[-32:]
    assert index + 8 * n + 48 == len(data)
    entries, end = [], len(HEAD)
    for i in range(n):
        (at,) = struct.unpack(">Q", data[index + 8 * i : index + 8 * i + 8])
        assert at == end
        db, key_len, size = struct.unpack(">BHI", data[at : at + 7])
        key = data[at + 7 : at + 7 + key_len]
        end = at + 7 + key_len + size
        entries.append((db, key, data[end - size : end]))
    assert end == index and entries == sorted(entries)
    return entries


def write(name, entries):
    data, index = bytearray(HEAD), []
    for db, key, value in sorted(entries):
        index.append(len(data))
        data += struct.pack(">BHI", db, len(key), len(value)) + key + value
    end = len(data)
    data += b"".join(struct.pack(">Q", at) for at in index)
    data += struct.pack(">QQ", end, len(index))
    data += hashlib.sha256(data).digest()
    open(name, "wb").write(data)


def nth(entries, db, n):
    return [i for i, e in enumerate(entries) if e[0] == db][n]


def main(how, source, *rest):
    entries = read(source)
    if how == "list":
        for db, key, value in entries:
            print(db, key.hex(), len(value))
        return
    target, rest = rest[0], rest[1:]
    if how == "flip":
        i = nth(entries, int(rest[0]), int(rest[1]))
        db, key, value = entries[i]
        changed = bytearray(value)
        changed[int(rest[2])] ^= 1
        entries[i] = (db, key, bytes(changed))
    elif how == "drop":
        del entries[nth(entries, int(rest[0]), int(rest[1]))]
    elif how == "merge":
        have = {e[:2] for e in entries}
        entries += [e for e in read(rest[0]) if e[:2] not in have]
    elif how == "add":
        entries.append((int(rest[0]), bytes.fromhex(rest[1]), rest[2].encode()))
    else:
        sys.exit(__doc__)
    write(target, entries)


main(*sys.argv[1:])
