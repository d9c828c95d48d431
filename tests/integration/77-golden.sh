#!/bin/sh
# What commands say about the golden store (tests/data/store-v2) never changes, bit for bit, but that JSON may get new members:
# tests/data/golden has it, of what is longer than a few KB the SHA-256. A store that was made anew on purpose: BASTION_GOLDEN=write sh 77-golden.sh, and read the
# difference.
. "$BASTION_SRC/tests/lib/tap.sh"

dir=$(mktemp -d "${TMPDIR:-/tmp}/bastion-test.XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
TZ=UTC
export TZ
unset BASTIOND_CONFIG
golden=$BASTION_SRC/tests/data/golden
mkdir "$dir/store" "$dir/got"
cp "$BASTION_SRC"/tests/data/store-v2/* "$dir/store/"
ctl() { "$BASTION_BIN/bastionctl" --store "$dir/store" "$@"; }

# said NAME COMMAND...: what it says, on both ways, and its exit status. Folders have other names each time.
said() {
	said_to=$dir/got/$1
	shift
	"$@" >"$said_to" 2>"$dir/err" </dev/null
	said_status=$?
	sed "s|$dir|DIR|g" "$dir/err" >>"$said_to"
	echo "exit $said_status" >>"$said_to"
	if [ "$(stat -c %s "$said_to")" -gt 6000 ]; then
		echo "SHA-256 $(sha256sum <"$said_to" | cut -d' ' -f1)" >"$dir/hash"
		mv "$dir/hash" "$said_to"
	fi
}
said list.json ctl sessions list --json
said list ctl sessions list
said verify ctl verify --all
said verify.json ctl verify --all --json
said log ctl log
n=0
for sid in $(ctl sessions list --json | jq -r 'sort_by(.started_at) | .[].id'); do
	n=$((n + 1))
	said "$n.show" ctl sessions show "$sid"
	said "$n.show.json" ctl sessions show "$sid" --json
	for format in asciicast-v2 asciicast-v3 text; do said "$n.$format" ctl export "$sid" --format $format; done
	# The description in front of the events is that of show.
	said "$n.events" sh -c "'$BASTION_BIN/bastionctl' --store '$dir/store' export $sid --format json | jq -c '.events[]'"
	said "$n.out" ctl export "$sid" --format raw --stream out
	said "$n.play" ctl play "$sid" --no-wait
done
if [ "${BASTION_GOLDEN-}" = write ]; then
	mkdir -p "$golden"
	rm -f "$golden"/*
	cp "$dir"/got/* "$golden/"
fi

set -- "$golden"/*
plan $(($# + 1))
is 'nothing more and nothing less is said' "$(cd "$dir/got" && echo ./*)" "$(cd "$golden" && echo ./*)"
# Objects may have got members, which readers of JSON pass over; what they had says the same.
had() {
	python3 - "$1" "$2" <<'PY'
import json, sys

old, new = (json.loads(open(f, encoding="utf-8").read().rsplit("exit 0", 1)[0]) for f in sys.argv[1:])


def holds(a, b):
    if isinstance(a, dict) and isinstance(b, dict):
        return all(k in b and holds(v, b[k]) for k, v in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(holds, a, b))
    return a == b and type(a) is type(b)


sys.exit(not holds(old, new))
PY
}
for file in "$@"; do
	case $file in
	*.json) ok "${file##*/}" had "$file" "$dir/got/${file##*/}" ;;
	*) is "${file##*/}" "$(cat "$dir/got/${file##*/}")" "$(cat "$file")" ;;
	esac
done
tap_end
