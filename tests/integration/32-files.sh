#!/bin/sh
# Files in the record: what crossed, under which name, with which hash and how it ended; and rights that are exact.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

plan 54
far=$RIG/far
mkdir -p "$far/in" "$far/out"

# One sshd under several names, each with a rule of its own.
up() {
	rig_init && rig_target hash || return 1
	key=$(cut -d' ' -f1,2 "$RIG/hash/host_key.pub")
	# shellcheck disable=SC2154 # set by rig_target
	for h in keep ro wo pre both; do rig_host "$h" "$rig_port_hash" "$key"; done
	rule() { # HOST RIGHTS HOW
		cat <<-YAML
			  - name: $1
			    who: {groups: [sre]}
			    where: {hosts: [$1]}
			    as: [$rig_me]
			    may: $2
			    how: {files: $3}
		YAML
	}
	{
		rule hash '[shell, exec, sftp, scp, rsync]' hash
		rule keep '[shell, exec, sftp, scp, rsync]' keep
		rule ro '[sftp-read]' hash
		rule wo '[sftp-write]' hash
		rule pre "[{sftp-read: [$far]}, {sftp-write: [$far/in]}]" hash
		rule both "[{sftp: [$far/in]}]" keep
	} >"$RIG/rules.yaml"
	rig_policy && rig_start
}
ok 'a bastion with six rules starts' up

# shellcheck disable=SC2046
b_sftp() { # HOST [sftp options]; commands on stdin. A line that begins with "-" may fail.
	h=$1
	shift
	sftp $(rig_opts) -P "$bastion_port" -b - "$@" "$(to "$h")" >"$RIG/sftp.out" 2>"$RIG/sftp.err"
}
# shellcheck disable=SC2046
b_scp() { scp -q $(rig_opts) -P "$bastion_port" "$@"; }
over() { # remembers the newest session, which must end
	sid=$(last_sid)
	wait_for 10 session_closed "$sid"
	ctl sessions show --json "$sid" >"$RIG/show.json"
}
f() { jq -r "$1" "$RIG/show.json"; } # JQ-FILTER
sum() { sha256sum "$1" | cut -d' ' -f1; }

head -c 3000000 /dev/urandom >"$RIG/a"
head -c 100 /dev/urandom >"$RIG/small"
: >"$RIG/empty"
mkdir -p "$RIG/tree/sub" && cp "$RIG/small" "$RIG/tree/one" && cp "$RIG/small" "$RIG/tree/sub/two words"

# Content by its hash.

ok 'sftp put, get and the rest' b_sftp hash <<-SFTP
	put $RIG/a $far/a
	get $far/a $RIG/a.back
	put $RIG/empty $far/empty
	mkdir $far/d
	rename $far/a $far/d/a
	ln $far/d/a $far/d/hard
	ln -s $far/d/a $far/d/soft
	chmod 600 $far/d/a
	ls $far/d
	rm $far/d/soft
	-rm $far/d/none
	-mkdir $far/d
	put -r $RIG/tree $far/tree
	get -r $far/tree $RIG/tree.back
	rm $far/d/hard
	rm $far/d/a
	rmdir $far/d
SFTP
over
ok 'the copies are the same' cmp "$RIG/a" "$RIG/a.back"
ok 'and the tree' diff -r "$RIG/tree" "$RIG/tree.back"
a=$(sum "$RIG/a")
is 'a put has path, size, bytes, result and hash' \
	"$(f '.files[] | select(.op == "put") | [.path, .size, .bytes, .status, .sha256, .content] | @tsv' | head -n 1)" \
	"$(printf '%s\t3000000\t3000000\t0\t%s\thash' "$far/a" "$a")"
is 'a get has its hash' "$(f '[.files[] | select(.op == "get")][0].sha256')" "$a"
is 'a get has the size that the target told' "$(f '[.files[] | select(.op == "get")][0].size')" 3000000
is 'an empty file has the hash of nothing' "$(f '.files[] | select(.path == "'"$far/empty"'") | .sha256')" "$(sum "$RIG/empty")"
is 'names with spaces, hashes in the tree' \
	"$(f '[.files[] | select((.path | endswith("two words")) and .sha256 == "'"$(sum "$RIG/small")"'") | .op] | sort | join(" ")')" 'get put'
is 'each operation that changes something is there' \
	"$(f '[.files[] | select(.op | IN("mkdir", "rename", "link", "symlink", "setstat", "remove", "rmdir")) | select(.path | startswith("'"$far/d"'") or startswith("'"$far/a"'")) | "\(.op):\(.status)"] | join(" ")')" \
	'mkdir:0 rename:0 link:0 symlink:0 setstat:0 remove:0 remove:2 mkdir:4 remove:0 remove:0 rmdir:0'
is 'a rename has both names' "$(f '.files[] | select(.op == "rename") | "\(.path) \(.path2)"')" "$far/a $far/d/a"
is 'a failure has the words of the target' "$(f '[.files[] | select(.status == 2)][0].text')" 'No such file'
is 'the channel counts what crossed' "$(f '.channels[0] | .bytes_in > 3000000 and .bytes_out > 3000000')" true
is 'the content is not stored' "$(f '.stored_bytes < 300000')" true
is 'numbers are those of the session' "$(f '[.files[].number] == [range(1; (.files | length) + 1)] or ([.files[].number] | sort == unique)')" true
is 'list has the first files' "$(ctl sessions list --json | jq -r '.[-1] | (.files | length) as $n | $n > 10 and $n <= 64 and .files_total >= $n')" true
ctl sessions show "$sid" >"$RIG/show"
ok 'show lists files for people' grep -q "put *ok *2.8M *$far/a *$a" "$RIG/show"
ctl export --format text "$sid" >"$RIG/text" 2>/dev/null
ok 'a transcript has a line for each' grep -q "put $far/a: 3000000 bytes, ok" "$RIG/text"
ctl play --no-wait "$sid" >"$RIG/play" 2>/dev/null
ok 'so has a replay, and nothing else' sh -c 'grep -q "^put .*: 3000000 bytes, ok" "$1" && ! grep -qv "^[a-z]* /" "$1"' sh "$RIG/play"
ctl export --format raw --stream in --channel 1 -o "$RIG/raw" "$sid" 2>"$RIG/err"
is 'a raw export says that it is not whole' "$?" 1
ok 'and what is missing' grep -q 'the record has the hash of 3000[0-9]* bytes of files' "$RIG/err"
n=$(f '[.files[] | select(.op == "put")][0].number')
ctl export --file "$n" -o "$RIG/x" "$sid" 2>"$RIG/err"
is 'content that was replaced cannot be written' "$?" 1
ok 'and that is said' grep -q 'replaced by its hash' "$RIG/err"
ok 'json has every event' sh -c '"$1" -f "$2" export --format json "$3" | jq -e "[.events[].type] | index(\"content\") and index(\"file\")" >/dev/null' sh "$BASTIONCTL" "$RIG/b/bastiond.yaml" "$sid"

# Pieces.

head -c 1000000 "$RIG/a" >"$RIG/part" && cp "$RIG/part" "$far/part"
b_sftp hash <<-SFTP
	reget $far/a.none $RIG/none
SFTP
cp "$RIG/a" "$far/whole"
ok 'reget and reput' b_sftp hash <<-SFTP
	reget $far/whole $RIG/part
	reput $RIG/a $far/part
SFTP
over
ok 'the files are whole' sh -c 'cmp "$1" "$2" && cmp "$1" "$3"' sh "$RIG/a" "$RIG/part" "$far/part"
is 'what crossed are ranges, and no hash is claimed' \
	"$(f '[.files[] | select(.bytes > 0) | "\(.op) \(.ranges) \(.sha256)"] | join(" ")')" \
	'get [[1000000,3000000]] null put [[1000000,3000000]] null'
ok 'many requests at once' b_sftp hash -R 200 -B 4096 <<-SFTP
	put $RIG/a $far/r
	get $far/r $RIG/r.back
SFTP
over
is 'have the same hashes' "$(f '[.files[] | select(.bytes > 0) | .sha256] | unique | join(" ")')" "$a"

# scp speaks SFTP.
ok 'scp' b_scp "$RIG/a" "$(to hash):$far/scp"
over
is 'scp is in the record' "$(f '[.files[] | select(.op == "put") | .sha256] | join(" ")')" "$a"

# Content that is kept.

ok 'put and get with files: keep' b_sftp keep -B 20000 <<-SFTP
	put $RIG/a $far/k
	get $far/k $RIG/k.back
	put $RIG/empty $far/k.empty
SFTP
over
is 'the same hashes' "$(f '[.files[] | select(.bytes > 0) | .sha256] | unique | join(" ")')" "$a"
is 'the content is said to be kept' "$(f '[.files[] | select(.bytes > 0) | .content] | unique | join(" ")')" kept
kept() { ctl export --file "$(f "[.files[] | select(.op == \"$1\")][0].number")" -o "$RIG/$1.kept" "$sid" && cmp "$RIG/a" "$RIG/$1.kept"; }
ok 'what was put can be written' kept put
ok 'what was got, too' kept get
ok 'into a pipe as well' sh -c '"$1" -f "$2" export --file "$3" "$4" | cmp - "$5"' sh "$BASTIONCTL" "$RIG/b/bastiond.yaml" "$(f '[.files[] | select(.op == "get")][0].number')" "$sid" "$RIG/a"
ctl export --format raw --stream in --channel 1 -o "$RIG/raw" "$sid"
is 'a raw export is whole' "$?" 0
ctl export --file 999 -o "$RIG/x" "$sid" 2>/dev/null
is 'a file that is not there' "$?" 1

# Rights.

# HOST COMMAND: is refused with the protocol's own error. What sftp may not look at it calls not found.
no() {
	echo "$2" >"$RIG/batch"
	b_sftp "$1" <"$RIG/batch"
	if grep -qi 'permission denied\|not found' "$RIG/sftp.err"; then return 0; fi
	note "$1: $2: is not refused: $(cat "$RIG/sftp.err")"
	return 1
}
yes() {
	echo "$2" >"$RIG/batch"
	if b_sftp "$1" <"$RIG/batch"; then return 0; fi
	note "$1: $2: fails: $(cat "$RIG/sftp.err")"
	return 1
}
cp "$RIG/small" "$far/in/x" && cp "$RIG/small" "$far/out/y" && ln -s /etc "$far/in/etc"
ro() {
	yes ro "get $far/in/x $RIG/x" && yes ro "ls -l $far/in" && no ro "put $RIG/small $far/in/n" && no ro "rm $far/in/x" &&
		no ro "rename $far/in/x $far/in/z" && no ro "mkdir $far/in/d" && no ro "chmod 600 $far/in/x" &&
		no ro "ln $far/in/x $far/in/z" && no ro "ln -s $far/in/x $far/in/z" && no ro "rmdir $far/in" && [ ! -e "$far/in/n" ]
}
ok 'sftp-read: reads and lists, and nothing else' ro
wo() {
	yes wo "put $RIG/small $far/in/w" && yes wo "ls -l $far/in" && no wo "get $far/in/x $RIG/x2" && yes wo "rm $far/in/w" &&
		yes wo "mkdir $far/in/wd" && yes wo "rmdir $far/in/wd" && [ ! -e "$RIG/x2" ]
}
ok 'sftp-write: writes and lists, and nothing else' wo
over
pre() {
	yes pre "get $far/out/y $RIG/y" && yes pre "put $RIG/small $far/in/p" && no pre "put $RIG/small $far/out/p" &&
		no pre "get /etc/passwd $RIG/pw" && no pre "rm $far/out/y" && no pre "rename $far/in/p $far/out/p" &&
		no pre "ls /etc" && no pre "ln -s /etc/passwd $far/in/s" && yes pre "rename $far/in/p $far/in/q" &&
		[ ! -e "$RIG/pw" ] && [ ! -e "$far/out/p" ] && [ -e "$far/out/y" ]
}
ok 'prefixes: each right has its own' pre
dots() {
	no pre "put $RIG/small $far/in/../out/p" && yes pre "$(printf 'cd %s/in\nls ..\nget ../out/y %s/y2' "$far" "$RIG")" &&
		no pre "$(printf 'cd %s/in\nput %s/small ../out/p' "$far" "$RIG")" && [ ! -e "$far/out/p" ]
}
ok 'two dots do not lead out' dots
home() {
	case $far/ in "$(cd && pwd -P)"/*) return 0 ;; esac
	no pre 'get .profile' && no pre ls
}
ok 'relative paths are judged from the home' home
no both "put $RIG/small $far/out/no"
over
is 'what was refused is in the record' "$(f '.files[] | select(.refused) | "\(.op) \(.path) \(.bytes)"')" "put $far/out/no 0"
ok 'with a reason' sh -c '"$1" -f "$2" export --format text "$3" 2>/dev/null | grep -q "refused: open .*outside of what the rule names"' sh "$BASTIONCTL" "$RIG/b/bastiond.yaml" "$sid"
ok 'and an audit event' sh -c '"$1" -f "$2" log --json | jq -se --arg s "$3" "flatten | map(select(.event == \"file.refused\" and .session == \$s)) | length >= 1" >/dev/null' sh "$BASTIONCTL" "$RIG/b/bastiond.yaml" "$sid"

# Streams that are not what they claim to be.

raw() { # HOST BYTES: sent to the subsystem as they are
	# shellcheck disable=SC2046
	printf '%b' "$2" | ssh $(rig_opts) -p "$bastion_port" -s "$(to "$1")" sftp >"$RIG/raw.out" 2>"$RIG/raw.err"
	over
}
raw hash 'GET / HTTP/1.0\r\n\r\nthis is no sftp'
ctl export --format raw --stream in --channel 1 -o "$RIG/raw" "$sid"
is 'a stream that cannot be followed is kept whole' "$(cat "$RIG/raw")" "$(printf 'GET / HTTP/1.0\r\n\r\nthis is no sftp')"
ok 'and said to be so' sh -c '"$1" -f "$2" export --format text "$3" 2>/dev/null | grep -q "unfollowed: "' sh "$BASTIONCTL" "$RIG/b/bastiond.yaml" "$sid"
raw ro 'GET / HTTP/1.0\r\n\r\nthis is no sftp'
ok 'with a rule its user is told' grep -q 'bastiond: file transfer ended: a length that no packet has' "$RIG/raw.err"
ok 'and it does not cross' sh -c '"$1" -f "$2" export --format text "$3" 2>/dev/null | grep -q "refused: a length that no packet has"' sh "$BASTIONCTL" "$RIG/b/bastiond.yaml" "$sid"

# sshfs, where it can mount.
mounted() {
	mkdir -p "$RIG/mnt"
	# shellcheck disable=SC2046
	timeout 20 sshfs $(rig_opts | sed 's/-F none/-F \/dev\/null/') -p "$bastion_port" "$(to hash):$far" "$RIG/mnt" 2>"$RIG/sshfs.err" || return 1
	cp "$RIG/a" "$RIG/mnt/sshfs" && cmp "$RIG/a" "$RIG/mnt/sshfs"
	mounted_r=$?
	fusermount -u "$RIG/mnt" 2>/dev/null || fusermount3 -u "$RIG/mnt"
	return $mounted_r
}
if command -v sshfs >/dev/null && [ -w /dev/fuse ] && mounted; then
	over
	is 'sshfs is in the record' "$(f '[.files[] | select(.path | endswith("/sshfs")) | select(.op == "put") | .sha256] | join(" ")')" "$a"
else
	pass 'sshfs is in the record # SKIP it cannot mount here'
fi
ok 'everything verifies' ctl verify --all
not_ok 'nobody broke the rules of a link' grep -q link.violation "$RIG/bastiond.log"

tap_end
