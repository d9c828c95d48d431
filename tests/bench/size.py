"""What sessions take in a store, beside gzip -6 of their asciicasts: size.py STATE BASTIONCTL, on a state that no bastion uses.

Blocks: as they are stored, with their encryption. Prints a table by how much a session's terminal showed; its last column is blocks over gzip.
"""

import gzip
import json
import os
import subprocess
import sys

CLASSES = ((0, 4096), (4096, 65536), (65536, 262144), (262144, 1 << 40), (0, 1 << 40))


def main():
    state, ctl = sys.argv[1:]

    def run(*args):
        return subprocess.run([ctl, *args, "--store", state], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout

    rows = []
    for s in json.loads(run("sessions", "list", "--json")):
        show = json.loads(run("sessions", "show", s["id"], "--json"))
        out = sum(c["bytes_out"] + c["bytes_err"] for c in s["channels"])
        cast = run("export", s["id"], "--format", "asciicast-v2")
        rows.append((out, show["stored_bytes"], len(gzip.compress(cast, 6))))
    print(f"{'output up to':<14}{'sessions':>9}{'output':>10}{'blocks B/B':>12}{'gzip B/B':>10}{'ratio':>7}")
    for lo, hi in CLASSES:
        some = [r for r in rows if lo <= r[0] < hi]
        if some:
            out, stored, gz = (sum(r[i] for r in some) for i in range(3))
            name = "all" if (lo, hi) == (0, 1 << 40) else "more" if hi == 1 << 40 else str(hi)
            print(f"{name:<14}{len(some):>9}{out:>10}{stored / out:>12.3f}{gz / out:>10.3f}{stored / gz:>7.2f}")
    out, gz = sum(r[0] for r in rows), sum(r[2] for r in rows)
    size = os.stat(os.path.join(state, "recorder/data.mdb")).st_size
    print(f"whole file: {size} bytes, {size / out:.3f} B/B, {size / gz:.2f} of gzip -6 of the asciicasts")


main()
