#!/bin/sh
# What scp's old protocol and rsync carry: in the record with the right names and hashes, whatever way it went.
. "$BASTION_SRC/tests/lib/tap.sh"
. "$BASTION_SRC/tests/lib/bastion.sh"

command -v rsync >/dev/null || skip_all 'rsync is not installed'
plan 50
far=$RIG/far
mkdir -p "$far"

up() {
	rig_init && rig_target hash || return 1
	# shellcheck disable=SC2154 # set by rig_target
	rig_host keep "$rig_port_hash" "$(cut -d' ' -f1,2 "$RIG/hash/host_key.pub")"
	for h in hash keep; do
		cat <<-YAML
			  - name: $h
			    who: {groups: [sre]}
			    where: {hosts: [$h]}
			    as: [$rig_me]
			    may: [shell, exec, sftp, scp, rsync]
			    how: {files: $h}
		YAML
	done >"$RIG/rules.yaml"
	rig_policy && rig_start
}
ok 'a bastion that hashes and one that keeps' up

# shellcheck disable=SC2046
b_scp() { scp -O -q $(rig_opts) -P "$bastion_port" "$@" 2>"$RIG/err"; }
# What rsync calls instead of ssh; the host's name has the login in it.
# shellcheck disable=SC2154 # set by rig_start
printf '#!/bin/sh\nexec ssh %s -p %s "$@"\n' "$(rig_opts | tr '\n' ' ')" "$bastion_port" >"$RIG/rsh"
chmod +x "$RIG/rsh"
b_rsync() { timeout 60 rsync -e "$RIG/rsh" "$@" >"$RIG/out" 2>"$RIG/err"; }
over() { # remembers the newest session, which must end
	sid=$(last_sid)
	wait_for 10 session_closed "$sid"
	ctl sessions show --json "$sid" >"$RIG/show.json"
}
f() { jq -r "$1" "$RIG/show.json"; } # JQ-FILTER
sum() { sha256sum "$1" | cut -d' ' -f1; }
text() { ctl export --format text "$sid" 2>/dev/null; }

# FOLDER OP: every file below it is told with that operation, its path, its size and its hash, and as done, and no other is.
same_files() {
	(cd "$1" && find . -type f | sed 's|^\./||' | while read -r p; do
		printf '%s %s %s %s 0\n' "$2" "$p" "$(stat -c %s "$p")" "$(sum "$p")"
	done) | LC_ALL=C sort >"$RIG/want"
	f ".files[] | select(.op == \"$2\") | [.op, .path, .size, .sha256, .status] | map(tostring) | join(\" \")" |
		LC_ALL=C sort >"$RIG/told"
	cmp -s "$RIG/want" "$RIG/told" && return 0
	diff "$RIG/want" "$RIG/told" | head -n 5 | while read -r l; do note "$l"; done
	return 1
}
small_store() { [ "$(f '.stored_bytes')" -lt 300000 ]; }
untouched() { ! text | grep -q unfollowed; }
says() { text | grep -q "$1"; }
writes() { ctl export --file "$1" "$sid" 2>/dev/null | cmp - "$2"; } # NUMBER FILE

src=$RIG/src
mkdir -p "$src/sub/deep er" "$src/empty"
head -c 2000000 /dev/urandom >"$src/big"
head -c 100 /dev/urandom >"$src/two words"
: >"$src/none"
echo u >"$src/sub/$(printf 'na\303\257ve')"
echo deep >"$src/sub/deep er/file"
ln -s big "$src/link"
for i in 1 2 3 4 5 6 7 8 9; do echo "$i" >"$src/sub/f$i"; done
chmod 600 "$src/none"

# scp -O.

ok 'scp -O puts a file' b_scp "$src/big" "$(to hash):$far/big"
over
is 'with name, size, result and hash' "$(f '.files[] | [.op, .path, .size, .bytes, .status, .sha256, .content] | map(tostring) | join(" ")')" \
	"put big 2000000 2000000 0 $(sum "$src/big") hash"
ok 'the content is not stored' small_store
ok 'and it is there' cmp "$src/big" "$far/big"
ok 'scp -O gets a file' b_scp "$(to hash):$far/big" "$RIG/back"
over
is 'with its hash' "$(f '.files[] | [.op, .path, .status, .sha256] | map(tostring) | join(" ")')" "get big 0 $(sum "$src/big")"
ok 'the content is not stored either' small_store
ok 'scp -O -r -p puts a tree' b_scp -rp "$src" "$(to hash):$far/tree"
over
ok 'it was followed' untouched
is 'every file is there with its hash' "$(f '[.files[] | select(.op == "put") | .sha256] | sort | join(" ")')" \
	"$(find -L "$src" -type f -exec sha256sum {} + | cut -d' ' -f1 | sort | tr '\n' ' ' | sed 's/ $//')"
is 'by its path' "$(f '[.files[].path | select(. == "src/sub/deep er/file")] | length')" 1
ok 'scp -O -r gets a tree' b_scp -r "$(to hash):$far/tree" "$RIG/tree.back"
over
ok 'it was followed' untouched
is 'every file is there' "$(f '[.files[] | select(.op == "get") | select(.status == 0) | .path] | length')" "$(find -L "$src" -type f | wc -l)"
b_scp "$src/big" "$(to hash):/proc/none/x"
over
is 'what the target refuses is told with its words' "$(f '.files[] | "\(.op) \(.path) \(.bytes) \(.status) \(.sha256) \(.text | test("No such file"))"')" 'put big 0 1 null true'
b_scp "$src/big" "$(to hash):/dev/full"
over
is 'no room at the target: all crossed, and the answer says so' "$(f '.files[] | "\(.bytes) \(.status) \(.sha256) \(.text | test("No space"))"')" \
	"2000000 1 $(sum "$src/big") true"
b_scp "$(to hash):$far/missing" "$RIG/x"
over
ok 'a file that is not there is a remark' says 'scp-error: .*missing: No such file'
ok 'scp -O with files: keep' b_scp "$src/big" "$(to keep):$far/kept"
over
is 'the content is kept' "$(f '.files[].content')" kept
ok 'and can be written' writes 1 "$src/big"

# Commands that only look like scp, and what is not its protocol.

printf '\0C0644 5 x\nhello' | b_ssh "$(to hash)" "scp -t $far/y; cat" >"$RIG/out" 2>/dev/null
over
ctl export --format raw --stream in --channel 1 -o "$RIG/raw" "$sid"
is 'scp -t x; cat is recorded whole' "$(tr -d '\0' <"$RIG/raw")" "$(printf 'C0644 5 x\nhello')"
is 'and tells no files' "$(f '.files | length')" 0
printf 'this is no scp\n' | b_ssh "$(to hash)" "scp -t $far/y" >/dev/null 2>&1
over
ok 'a stream out of turn is marked' says 'unfollowed: not the protocol of scp'

# rsync.

ok 'rsync -a puts a tree' b_rsync -a "$src/" "$(to hash):$far/r/"
over
ok 'it arrived' diff -r "$src" "$far/r"
ok 'it was followed' untouched
ok 'every file is there with its hash, as done' same_files "$src" put
ok 'the content is not stored' small_store
ok 'rsync -a gets a tree' b_rsync -aH --numeric-ids "$(to hash):$far/r/" "$RIG/r.back/"
over
ok 'every file is there with its hash' same_files "$src" get
ok 'the content is not stored' small_store
ok 'again: nothing crosses' b_rsync -a "$src/" "$(to hash):$far/r/"
over
is 'no file is told' "$(f '.files | length')" 0
ok 'a dry run' b_rsync -an "$src/" "$(to hash):$far/dry/"
over
is 'tells no file either' "$(f '.files | length') $(untouched && echo followed)" '0 followed'
printf 'CHANGED' | dd of="$far/r/big" bs=1 seek=1000000 conv=notrunc 2>/dev/null
touch -d 2001-01-01 "$far/r/big"
ok 'a changed file' b_rsync -a "$src/" "$(to hash):$far/r/"
over
is 'crosses in part, and no hash is claimed' \
	"$(f '.files[] | "\(.path) \(.sha256) \(.status) \(.ranges | length) \(.ranges[0][0] <= 1000000 and .ranges[0][1] >= 1000007 and .bytes < 10000)"')" 'big null 0 1 true'
head -c 900000 "$src/big" >"$far/r/big"
ok 'one that is resumed' b_rsync -a --append "$src/big" "$(to hash):$far/r/"
over
is 'crosses from where it was' "$(f '.files[] | "\(.ranges) \(.sha256)"')" '[[900000,2000000]] null'
mkdir -p "$far/r/gone" && touch "$far/r/gone/x"
ok 'rsync --delete' b_rsync -av --delete --partial "$src/" "$(to hash):$far/r/"
over
is 'what it deleted is told' "$(f '[.files[] | "\(.op) \(.path)"] | sort | join(", ")')" 'remove gone/x, rmdir gone'
ok 'rsync -z' b_rsync -az "$src/" "$(to hash):$far/z/"
over
ok 'every file is there with its hash' same_files "$src" put
ok 'packed content is kept and said so' says 'packed: contents cross packed by'
b_rsync "$src/big" "$(to hash):/dev/null/x/"
over
is 'a target that cannot: nothing is said to be done' "$(f '[.files[] | select(.status == 0)] | length')" 0
ok 'rsync with files: keep' b_rsync -a "$src/big" "$(to keep):$far/k"
over
ok 'the content can be written' writes 1 "$src/big"
printf 'this is no rsync at all' | b_ssh "$(to hash)" "rsync --server -re.iLsfxCIvu . $far/q" >/dev/null 2>&1
over
ok 'what is not rsync is marked' says 'unfollowed: not rsync'
ok 'everything verifies' ctl verify --all

tap_end
