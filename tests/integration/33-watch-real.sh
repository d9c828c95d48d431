#!/bin/sh
# Real scp and rsync against each other, without a bastion: what crossed is recorded by tests/lib/tee.py, and what a reader
# makes of it, as it crossed and byte by byte, is compared with the files.
. "$BASTION_SRC/tests/lib/tap.sh"

for p in rsync scp python3; do
	command -v $p >/dev/null || skip_all "$p is not installed"
done
plan 26

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
printf '#!/bin/sh\nexec python3 "%s" "%s" "$@"\n' "$BASTION_SRC/tests/lib/tee.py" "$tmp/log" >ssh
chmod +x ssh

# A tree whose names are hard to sort, with links, empty files, and one that is large.
mkdir -p s/sub/deep s/sub-1 s/sub.2 s/sub0 s/a.d s/empty s/many
for d in . sub sub/deep sub-1 sub.2 sub0 a.d; do
	for n in a a-b a.b ab A 'two  words' "$(printf '\303\274n\303\257')" -dash '#x' foo foo.d 0; do
		echo "$d $n" >"s/$d/$n.f"
	done
done
i=0
while [ $i -lt 120 ]; do
	mkdir -p "s/many/d$((i % 15))" && echo $i >"s/many/d$((i % 15))/f$i"
	i=$((i + 1))
done
head -c 400000 /dev/urandom >s/large
: >s/none
ln s/large s/hard
ln -s large s/link

# KIND: as it crossed and byte by byte the same is told, and the stream was followed to its end.
follow() {
	"$BASTION_BIN/bastion-watch" "$1" log >told 2>&1 && "$BASTION_BIN/bastion-watch" "$1" log 1 >told.1 2>&1 &&
		cmp told told.1 && grep -q '^follows yes' told && return 0
	tail -n 3 told | while read -r l; do note "$l"; done
	return 1
}
# FOLDER OP PREFIX: each of its files, but for the links, was told once, as done and with its hash, below the prefix.
all_files() {
	(cd "$1" && find . -type f ! -name hard ! -name link | sed 's|^\./||' | while read -r f; do
		printf '%s 0 %s%s\n' "$(sha256sum -- "$f" | sed 's/^\\//; s/ .*//')" "$3" "$f"
	done) | LC_ALL=C sort >want
	sed -n "s/^$2 [0-9]* [0-9]* [0-9]* [0-9]* \(.*\)/\1/p" told | sed '/hard$/d; /link$/d' | LC_ALL=C sort >got
	cmp -s want got && return 0
	diff want got | head -n 4 | while read -r l; do note "$l"; done
	return 1
}
r() { timeout 60 rsync -e "$tmp/ssh" "$@" >out 2>err; }

scp -O -q -S ./ssh -rp s x:scp.put
ok 'scp puts: followed' follow scp
ok 'scp puts: every file' all_files s put s/
scp -O -q -S ./ssh -r x:s scp.get
ok 'scp gets: followed' follow scp
ok 'scp gets: every file' all_files s get s/

# Options for both ways; large or hard is the one that crosses of two hard links, so neither is asked for with -H.
n=0
for o in -a '-a --no-inc-recursive' '-a --protocol=30' '-ac --no-inc-recursive --protocol=31' '-az --zc=zstd'; do
	n=$((n + 1))
	# shellcheck disable=SC2086 # options are words
	r $o s/ "x:put.$n/"
	ok "rsync $o puts: followed" follow rsync
	ok "rsync $o puts: every file" all_files s put ''
	# shellcheck disable=SC2086
	r $o x:s/ "get.$n/"
	ok "rsync $o gets: followed" follow rsync
	ok "rsync $o gets: every file" all_files s get ''
done
r -aH s/ x:linked/
ok 'rsync -aH: followed' follow rsync
r -azz s/ x:zlibx/
ok 'rsync -azz, which is not unpacked: followed' follow rsync

tap_end
