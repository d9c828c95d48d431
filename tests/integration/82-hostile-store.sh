#!/bin/sh
# A store that somebody prepared: LMDB trusts the file that it maps. Whatever happens to the reader in its sandbox, bastionctl
# answers and ends.
. "$BASTION_SRC/tests/lib/tap.sh"

dir=$(mktemp -d "${TMPDIR:-/tmp}/bastion-test.XXXXXX")
trap '[ -n "${BASTION_KEEP-}" ] || rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
unset BASTIOND_CONFIG
rounds=${BASTION_ROUNDS:-24}

plan 9
"$BASTION_BIN/bastion-feed" "$dir/clean" >"$dir/ids" <<'SCRIPT'
audit {"event":"a"}
open alice root web1
begin 1
shell 1
fill 1 300000
close 1
end
rotate
open bob root web1
begin 1
shell 1
out 1 second epoch\n
close 1
SCRIPT
ok 'the store verifies as it was made' "$BASTION_BIN/bastionctl" --store "$dir/clean" verify --all

# damage SEED: the copy, changed as the seed says. Meta pages, branches, leaves, free lists, lengths: it knows none of them.
damage() {
	python3 - "$dir/copy/recorder/data.mdb" "$1" <<'PY'
import random, sys
path, seed = sys.argv[1], int(sys.argv[2])
random.seed(seed)
with open(path, 'r+b') as f:
    data = bytearray(f.read())
    pages = len(data) // 4096
    way = seed % 6
    if way == 0:  # bytes anywhere
        for _ in range(random.randint(1, 200)):
            data[random.randrange(len(data))] = random.randrange(256)
    elif way == 1:  # the heads of pages: numbers, flags, bounds
        for _ in range(random.randint(1, 20)):
            at = random.randrange(2, pages) * 4096 + random.randrange(16)
            data[at] = random.randrange(256)
    elif way == 2:  # meta pages
        for _ in range(random.randint(1, 12)):
            data[random.randrange(2) * 4096 + random.randrange(16, 160)] = random.choice((0, 1, 255, random.randrange(256)))
    elif way == 3:  # pages exchanged
        for _ in range(random.randint(1, 10)):
            a, b = random.randrange(2, pages) * 4096, random.randrange(2, pages) * 4096
            data[a:a + 4096], data[b:b + 4096] = data[b:b + 4096], data[a:a + 4096]
    elif way == 4:  # cut off
        del data[random.randrange(len(data)):]
    else:  # offsets of nodes
        for _ in range(random.randint(1, 30)):
            at = random.randrange(2, pages) * 4096 + 16 + random.randrange(64)
            data[at] = random.randrange(256)
    f.seek(0)
    f.truncate()
    f.write(data)
PY
}

killed=0 late=0 yes=0 no=0 unsure=0
n=0
while [ "$n" -lt "$rounds" ]; do
	n=$((n + 1))
	rm -rf "$dir/copy"
	cp -a "$dir/clean" "$dir/copy"
	damage "$n"
	for what in 'verify --all' 'sessions list' 'log' 'checkpoint --from 1' 'index rebuild'; do
		# shellcheck disable=SC2086 # words
		timeout 60 "$BASTION_BIN/bastionctl" --store "$dir/copy" $what >"$dir/out" 2>&1
		code=$?
		case $what:$code in
		verify*:0) yes=$((yes + 1)) ;;
		verify*:1) no=$((no + 1)) ;;
		verify*:3) unsure=$((unsure + 1)) ;;
		*:0 | *:1 | *:3) ;;
		*:124)
			late=$((late + 1))
			note "seed $n: $what does not end"
			;;
		*)
			killed=$((killed + 1))
			note "seed $n: $what: status $code"
			;;
		esac
	done
done
note "of $rounds: yes $yes, no $no, not to be found out $unsure"
is 'bastionctl itself is never brought down' $killed 0
is 'it never waits for ever' $late 0
# Derived data that leads out of the copy.
rm -rf "$dir/copy"
cp -a "$dir/clean" "$dir/copy"
mkdir "$dir/elsewhere"
ln -s "$dir/elsewhere" "$dir/copy/recorder/derived"
"$BASTION_BIN/bastionctl" --store "$dir/copy" search epoch >"$dir/out" 2>&1
is 'a search goes without it' $? 0
"$BASTION_BIN/bastionctl" --store "$dir/copy" index rebuild >"$dir/out" 2>&1
isnt 'no index is made there' $? 0
is 'and nothing is written there' "$(ls "$dir/elsewhere")" ''
# Made by root, it is still the store's owner who has to go on with it.
rm "$dir/copy/recorder/derived"
[ "$(id -u)" -ne 0 ] || { chown -R 61703:61703 "$dir/copy/recorder" && chmod 755 "$dir" "$dir/copy"; }
"$BASTION_BIN/bastionctl" --store "$dir/copy" index rebuild >"$dir/out" 2>&1
is 'an index belongs to whose the store is' \
	"$(stat -c %u "$dir/copy/recorder/derived/data.mdb")" "$(stat -c %u "$dir/copy/recorder/data.mdb")"
# Bytes that no page uses may change unseen; a log or a session that is gone may not.
sessions=$("$BASTION_BIN/bastionctl" --store "$dir/clean" verify --all --json | jq .result.sessions)
rm -rf "$dir/copy"
cp -a "$dir/clean" "$dir/copy"
: >"$dir/copy/recorder/data.mdb"
"$BASTION_BIN/bastionctl" --store "$dir/copy" verify --all >/dev/null 2>&1
isnt 'an empty file is no yes' $? 0
is 'there is something to lose' "$sessions" 2
tap_end
