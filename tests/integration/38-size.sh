#!/bin/sh
# Bytes by the gigabyte and files by the thousand, each way by each program: the same hashes at the end, in the record too, and
# no process of the bastion that grows with them: everything is done in small first, and what a process had then is about
# all that it may have afterwards. Here the rest is not large either; make check-size has 4 GB and 50000 files.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

size=${BASTION_SIZE-100663296}
files=${BASTION_SIZE_FILES-500}
first_size=33554432
first_files=100
# KiB of memory of its own: what one process of the role may have at any moment, whatever passes through it (windows and queues
# of its channels, and the program), and by how much it may exceed the most that it had when things were small. Pages of
# the store's file that the kernel keeps are not the program's.
#   front, back: windows are as full as the other side is slow, 4 MiB of a channel at most; how full they were at the
#   moments that were looked at in small, where things take a second, is chance.
#   recorder: a commit is of COMMIT_BYTES at most, twice (journal and blocks), in LMDB's pages, which it keeps for
#   the next, and what packs a full block; how full the fullest was is chance. What became of files that rsync sent to
#   the target waits until the target says how all ended, up to RS_WAITING_MAX (16 MiB): that part is held to the
#   first number only.
#   keys: its table of the session ids that were signed for (KEYS_SEEN_SETS, 1 MiB) comes into use page by page.
bounds='bastiond 8192 512
front 16384 4608
back 16384 4608
recorder 24576 6144
keys 8192 1536
policy 8192 512'

plan 36

make_blob() { # BYTES
	head -c "$1" /dev/urandom >"$RIG/blob" && sum=$(sha256sum <"$RIG/blob" | cut -d' ' -f1)
}

started() {
	rig_up && mkdir "$RIG/far" "$RIG/near"
}

# One line a process and look: phase, role, its own memory (KiB).
watch_memory() {
	while [ ! -e "$RIG/enough" ]; do
		read -r phase <"$RIG/phase"
		for p in $(tree "$bastion_pid"); do
			role=$({ tr '\0' '\n' <"/proc/$p/cmdline"; } 2>/dev/null | sed -n '1s/.*bastiond-//p; 1s/.*bastiond$/bastiond/p')
			[ -n "$role" ] && awk -v r="$phase $role" '/^Pss_Anon:/ {a = $2} END {if (a != "") print r, a}' \
				"/proc/$p/smaps_rollup" 2>/dev/null
		done
		sleep 0.2
	done >"$RIG/memory"
}

most() { # PHASE ROLE: the most memory of its own that one of these had then
	awk -v p="$1" -v r="$2" '$1 == p && $2 == r && $3 > m {m = $3} END {print m + 0}' "$RIG/memory"
}

hash_of() { sha256sum <"$1" | cut -d' ' -f1; }

# Says how fast, for those who run it by hand.
timed() { # NAME COMMAND...: it moves the blob
	what=$1
	shift
	begin=$(date +%s%N)
	"$@"
	result=$?
	took=$((1 + ($(date +%s%N) - begin) / 1000000))
	note "$what: $took ms, $(($(stat -c %s "$RIG/blob") / took / 1000)) MB/s"
	return $result
}

exec_up() { b_ssh "$(to t1)" "cat >$RIG/far/blob" <"$RIG/blob"; }
exec_down() { b_ssh "$(to t1)" "cat $RIG/far/blob" >"$RIG/near/blob"; }
# shellcheck disable=SC2046
batch() { sftp -q $(rig_opts) -P "$bastion_port" -b - "$(to t1)" >/dev/null; }
sftp_up() { echo "put $RIG/blob $RIG/far/blob" | batch; }
sftp_down() { echo "get $RIG/far/blob $RIG/near/blob" | batch; }
# shellcheck disable=SC2046
b_scp() { scp -q -O $(rig_opts) -P "$bastion_port" "$@"; }
scp_up() { b_scp "$RIG/blob" "$(to t1):$RIG/far/blob"; }
scp_down() { b_scp "$(to t1):$RIG/far/blob" "$RIG/near/blob"; }
b_rsync() { rsync -W -e "ssh $(rig_opts) -p $bastion_port -l $rig_me+t1" "$@"; }
rsync_up() { b_rsync "$RIG/blob" "127.0.0.1:$RIG/far/blob"; }
rsync_down() { b_rsync "127.0.0.1:$RIG/far/blob" "$RIG/near/blob"; }

# Up, down, and both are what was sent. Sessions: the last two.
round_trip() { # NAME
	rm -f "$RIG/far/blob" "$RIG/near/blob"
	ok "$1 up" timed "$1 up" "$1_up"
	is "$1 up: the same bytes" "$(hash_of "$RIG/far/blob")" "$sum"
	ok "$1 down" timed "$1 down" "$1_down"
	is "$1 down: the same bytes" "$(hash_of "$RIG/near/blob")" "$sum"
}

session_before() { # COUNT-FROM-THE-END: its id, once it is closed
	sid=$(ctl sessions list --json | jq -r --argjson n "$1" 'sort_by(.started_at) | .[-$n].id')
	wait_for 60 session_closed "$sid" && echo "$sid"
}

exported() { # STREAM COUNT-FROM-THE-END
	ctl export "$(session_before "$2")" --format raw --stream "$1" | sha256sum | cut -d' ' -f1
}

# What the record of the last two sessions says of files: operations and hashes.
recorded() {
	for n in 2 1; do
		ctl sessions show --json "$(session_before $n)" | jq -r '.files[] | select(.bytes > 0) | "\(.op) \(.bytes) \(.sha256)"'
	done | tr '\n' ' '
}

# Mostly holes: a piece in the beginning, one in the middle, one at the end.
sparse() {
	rm -f "$RIG/far/blob" "$RIG/near/blob"
	bytes=$(stat -c %s "$RIG/blob")
	rm -f "$RIG/sparse"
	truncate -s "$bytes" "$RIG/sparse" || return 1
	for at in 0 $((bytes / 8192)) $((bytes / 4096 - 1)); do
		dd if="$RIG/blob" of="$RIG/sparse" bs=4096 count=1 seek="$at" conv=notrunc status=none || return 1
	done
	b_rsync -S "$RIG/sparse" "127.0.0.1:$RIG/far/blob" && b_scp "$(to t1):$RIG/far/blob" "$RIG/near/blob" &&
		cmp "$RIG/sparse" "$RIG/far/blob" && cmp "$RIG/sparse" "$RIG/near/blob" &&
		[ "$(du -k "$RIG/far/blob" | cut -f1)" -lt $((bytes / 1024 / 2)) ]
}

small_files() { # COUNT
	rm -rf "$RIG/tree" && mkdir "$RIG/tree" && (
		cd "$RIG/tree" || exit 1
		head -c $(($1 * 600)) /dev/urandom | split -a 5 -b 600 -d - f || exit 1
		i=0
		for f in f*; do
			[ $((i % 1000)) != 0 ] || { d=d$((i / 1000)) && mkdir "$d"; }
			echo "$f" "$d"
			i=$((i + 1))
		done | awk '{a[$2] = a[$2] " " $1} END {for (d in a) print "mv" a[d], d}' | sh &&
			find . -type f -exec sha256sum {} + | sort >"$RIG/tree.sums"
	) && [ "$(wc -l <"$RIG/tree.sums")" = "$1" ]
}

many() { # COMMAND...: it brings the tree to far/tree or near/tree
	rm -rf "$RIG/far/tree" "$RIG/near/tree"
	begin=$(date +%s%N)
	"$@" || return 1
	end=$(date +%s%N)
	sid=$(session_before 1) || return 1
	note "$*: $(((end - begin) / 1000000)) ms, its session was closed $((($(date +%s%N) - end) / 1000000)) ms later"
	for d in "$RIG/far/tree" "$RIG/near/tree"; do
		[ ! -d "$d" ] || diff -r "$RIG/tree" "$d" >/dev/null || return 1
	done
	[ -d "$RIG/far/tree" ] || [ -d "$RIG/near/tree" ]
}
many_sftp() { printf 'put -r %s %s\n' "$RIG/tree" "$RIG/far/tree" | batch; }
many_scp() { b_scp -r "$(to t1):$RIG/tree" "$RIG/near/tree"; }
many_rsync() { b_rsync -a "$RIG/tree" "127.0.0.1:$RIG/far/"; }

# The record of the last session names each file of the tree once, with its hash.
all_named() { # OPERATION
	begin=$(date +%s%N)
	ctl sessions show --json "$(session_before 1)" >"$RIG/show.json" || return 1
	note "sessions show: $((($(date +%s%N) - begin) / 1000000)) ms, $(wc -c <"$RIG/show.json") bytes"
	jq -r --arg op "$1" '.files[] | select(.op == $op and .status == 0) | "\(.sha256)  \(.path | sub("^.*tree/"; "./"))"' \
		"$RIG/show.json" | sort | cmp - "$RIG/tree.sums"
}

# Everything once, so that each process has had what it needs.
in_small() {
	make_blob "$first_size" && small_files "$first_files" || return 1
	for program in exec sftp scp rsync; do
		rm -f "$RIG/far/blob" "$RIG/near/blob"
		"${program}_up" && "${program}_down" && [ "$(hash_of "$RIG/near/blob")" = "$sum" ] || return 1
	done
	sparse && many many_sftp && many many_scp && many many_rsync && session_before 1 >/dev/null
}

bounded() { # ROLE KIB
	got=$(most main "$1")
	waiting=$(most rsync "$1")
	[ "$waiting" -le "$got" ] || got=$waiting
	note "$1: $got KiB of its own at most, of $2"
	[ "$got" != 0 ] && [ "$got" -le "$2" ]
}

flat() { # ROLE KIB
	was=$(most first "$1")
	got=$(most main "$1")
	note "$1: $got KiB, and $was in small"
	[ "$was" != 0 ] && [ "$got" -le $((was + $2)) ]
}

verified() { ctl verify --all >/dev/null; }

ok 'a bastion and its target' started
echo first >"$RIG/phase"
watch_memory &
watcher=$!
rig_pids="$rig_pids $watcher"
ok 'everything in small' in_small
echo main >"$RIG/phase"
ok 'something to move' make_blob "$size"
round_trip exec
is 'exec: the record has what went up' "$(exported in 2)" "$sum"
is 'exec: and what came down' "$(exported out 1)" "$sum"
for program in sftp scp rsync; do
	round_trip $program
	is "$program: the record has the hash of both" "$(recorded)" "put $size $sum get $size $sum "
done
ok 'a sparse file, by rsync -S and scp -O' sparse
whole=$(hash_of "$RIG/sparse")
is 'sparse: the record has the hash of both' "$(recorded)" "put $size $whole get $size $whole "
ok "$files small files" small_files "$files"
ok 'sftp moves them' many many_sftp
ok 'sftp: each is in the record' all_named put
ok 'scp -O moves them' many many_scp
ok 'scp: each is in the record' all_named get
echo rsync >"$RIG/phase"
ok 'rsync moves them' many many_rsync
ok 'rsync: each is in the record' all_named put
touch "$RIG/enough"
wait "$watcher"
all() { # COMMAND NUMBER-OF-FIELD
	echo "$bounds" | (
		good=0
		while read -r role limit more; do
			[ "$2" = 2 ] && limit=$more
			"$1" "$role" "$limit" || good=1
		done
		exit $good
	)
}
ok 'no process had more memory than its bound' all bounded 1
ok 'no process grew with what passed through it' all flat 2
ok 'everything verifies' verified

tap_end
