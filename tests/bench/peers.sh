#!/bin/sh
# make bench-peers: bastiond's recorder beside script, asciinema, tlog-rec and lines of JSON, on the same output of real programs.
# tlog-rec refuses to record where /run/utmp is not there, and is left out then. About a minute.
set -eu
dir=$(mktemp -d "${TMPDIR:-/tmp}/bastion-peers.XXXXXX")
trap 'rm -rf "$dir"' EXIT
{
	# shellcheck disable=SC2012 # what ls prints is the point
	ls -lR /usr/share/doc /etc 2>/dev/null | head -n 25000
	# shellcheck disable=SC2012
	ls -lR --color=always /usr/lib 2>/dev/null | head -n 10000
	git -C "$BASTION_SRC" --no-pager log -p --color=always -n 12 2>/dev/null | head -n 8000
	seq 1 20000
} | head -c 3000000 >"$dir/tape" || true
export BASTION_BIN
python3 "$BASTION_SRC/tests/bench/peers.py" "$BASTION_BIN/../tests/bench/bench_peer" "$dir/tape" "$dir" \
	"$BASTION_BIN/bastionctl"
