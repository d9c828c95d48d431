#!/bin/sh
# Bytes by the gigabyte and files by the thousand, each way by each program: the same hashes at the end, and no process of the
# bastion that grows with them. Here in small; make check-size has 4 GB and 50000 files.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

size=${BASTION_SIZE-67108864}
files=${BASTION_SIZE_FILES-500}
# KiB of memory of its own that one process may have at any moment, whatever passes through it: what the windows and
# queues of its channels add up to, and the program. Pages of the store's file that the kernel keeps are not the program's.
bounds='bastiond 16384
front 16384
back 16384
recorder 49152
keys 16384
policy 16384'

plan 26

started() {
	rig_up && mkdir "$RIG/far" "$RIG/near" && head -c "$size" /dev/urandom >"$RIG/blob" &&
		sum=$(sha256sum <"$RIG/blob" | cut -d' ' -f1)
}

# One line a process and look: role, its own memory, all of it with its share of what others have too (KiB).
watch_memory() {
	while [ ! -e "$RIG/enough" ]; do
		for p in $(tree "$bastion_pid"); do
			role=$({ tr '\0' '\n' <"/proc/$p/cmdline"; } 2>/dev/null | sed -n '1s/.*bastiond-//p; 1s/.*bastiond$/bastiond/p')
			[ -n "$role" ] && awk -v r="$role" '/^Pss:/ {p = $2} /^Pss_Anon:/ {a = $2} END {if (p != "") print r, a, p}' \
				"/proc/$p/smaps_rollup" 2>/dev/null
		done
		sleep 0.2
	done >"$RIG/memory"
}

most() { # ROLE: the most memory of its own that one of these ever had
	awk -v r="$1" '$1 == r && $2 > m {m = $2} END {print m + 0}' "$RIG/memory"
}

hash_of() { sha256sum <"$1" | cut -d' ' -f1; }

# Says how fast, for those who run it by hand.
timed() { # NAME COMMAND...
	what=$1
	shift
	begin=$(date +%s%N)
	"$@"
	result=$?
	note "$what: $((size / (1 + ($(date +%s%N) - begin) / 1000000) / 1000)) MB/s"
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

exported() { # STREAM COUNT-FROM-THE-END
	sid=$(ctl sessions list --json | jq -r --argjson n "$2" 'sort_by(.started_at) | .[-$n].id')
	wait_for 60 session_closed "$sid" && ctl export "$sid" --format raw --stream "$1" | sha256sum | cut -d' ' -f1
}

# Mostly holes: a piece in the beginning, one in the middle, one at the end.
sparse() {
	rm -f "$RIG/far/blob" "$RIG/near/blob"
	truncate -s "$size" "$RIG/sparse" || return 1
	for at in 0 $((size / 8192)) $((size / 4096 - 1)); do
		dd if="$RIG/blob" of="$RIG/sparse" bs=4096 count=1 seek="$at" conv=notrunc status=none || return 1
	done
	b_rsync -S "$RIG/sparse" "127.0.0.1:$RIG/far/blob" && b_scp "$(to t1):$RIG/far/blob" "$RIG/near/blob" &&
		cmp "$RIG/sparse" "$RIG/far/blob" && cmp "$RIG/sparse" "$RIG/near/blob" &&
		[ "$(du -k "$RIG/far/blob" | cut -f1)" -lt $((size / 1024 / 2)) ]
}

small_files() {
	mkdir "$RIG/tree" && (
		cd "$RIG/tree" || exit 1
		head -c $((files * 600)) "$RIG/blob" | split -a 5 -b 600 -d - f || exit 1
		i=0
		for f in f*; do
			[ $((i % 1000)) != 0 ] || { d=d$((i / 1000)) && mkdir "$d"; }
			echo "$f" "$d"
			i=$((i + 1))
		done | awk '{a[$2] = a[$2] " " $1} END {for (d in a) print "mv" a[d], d}' | sh
	) && [ "$(find "$RIG/tree" -type f | wc -l)" = "$files" ]
}

many() { # COMMAND...: it brings the tree to far/tree or near/tree
	rm -rf "$RIG/far/tree" "$RIG/near/tree"
	"$@" || return 1
	for d in "$RIG/far/tree" "$RIG/near/tree"; do
		[ ! -d "$d" ] || diff -r "$RIG/tree" "$d" >/dev/null || return 1
	done
	[ -d "$RIG/far/tree" ] || [ -d "$RIG/near/tree" ]
}
many_sftp() { printf 'put -r %s %s\n' "$RIG/tree" "$RIG/far/tree" | batch; }
many_scp() { b_scp -r "$(to t1):$RIG/tree" "$RIG/near/tree"; }
many_rsync() { b_rsync -a "$RIG/tree" "127.0.0.1:$RIG/far/"; }

ok 'a bastion, its target and something to move' started
watch_memory &
watcher=$!
rig_pids="$rig_pids $watcher"
round_trip exec
is 'exec: the record has what went up' "$(exported in 2)" "$sum"
is 'exec: and what came down' "$(exported out 1)" "$sum"
round_trip sftp
round_trip scp
round_trip rsync
ok 'a sparse file, by rsync -S and scp -O' sparse
ok "$files small files" small_files
ok 'sftp moves them' many many_sftp
ok 'scp -O moves them' many many_scp
ok 'rsync moves them' many many_rsync
touch "$RIG/enough"
wait "$watcher"
bounded() {
	while read -r role limit; do
		got=$(most "$role")
		note "$role: $got KiB of its own at most, of $limit"
		if [ "$got" = 0 ] || [ "$got" -gt "$limit" ]; then return 1; fi
	done <<-BOUNDS
		$bounds
	BOUNDS
}
ok 'no process ever had more memory than its bound' bounded
verified() { ctl verify --all >/dev/null; }
ok 'everything verifies' verified

tap_end
