#!/bin/sh
# make bench-masks: what following a terminal and the default masks cost, beside perl, sed and, where it is installed, ripgrep with the
# same rules over the same text. About a minute.
set -eu
dir=$(mktemp -d "${TMPDIR:-/tmp}/bastion-masks.XXXXXX")
trap 'rm -rf "$dir"' EXIT
bench=$BASTION_BIN/../tests/bench/bench_masks
commit=$(git -C "$BASTION_SRC" rev-parse --short HEAD 2>/dev/null || echo -)
{
	# shellcheck disable=SC2012 # what ls prints is the point
	ls -lR /usr/share /usr/lib /etc 2>/dev/null | head -n 150000
	git -C "$BASTION_SRC" --no-pager log -p --color=always -n 40 2>/dev/null | head -n 40000
	seq 1 50000
} | head -c 12000000 | sed 's/$/\r/' >"$dir/tape" || true
mkdir "$dir/state" && chmod 700 "$dir/state"
"$bench" "$dir/state" "$dir/tape" "$commit"

# The same rules, a line at a time: \K and lookbehind are perl's own.
"$bench" --rules >"$dir/rules"
cat >"$dir/masks.pl" <<'PERL'
open(my $f, '<', shift) or die;
my @rules = map { chomp; my ($name, $text) = split /\t/; [$name, qr/$text/] } <$f>;
while (<STDIN>) {
	for my $r (@rules) { s/$r->[1]/[masked $r->[0]]/g }
	print;
}
PERL
# sed has no lookbehind, no \K and no lazy repetition: what begins as the rules do, in extended form. A flat pattern for each rule.
cat >"$dir/masks.sed" <<'SED'
s/-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY( BLOCK)?-----.*/[masked]/g
s/(AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}/[masked]/g
s/(aws.{0,20}(secret|private).{0,24}[=:][ 	]{0,4}["']?)[A-Za-z0-9\/+]{40}/\1[masked]/gI
s/gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}/[masked]/g
s/gl(pat|dt|rt|cbt|ptt|ft|soat|agent|oas)-[A-Za-z0-9_-]{20,255}/[masked]/g
s/xox[abeoprs]-[A-Za-z0-9-]{10,255}|https:..hooks.slack.com.services.[A-Za-z0-9\/]{20,255}/[masked]/g
s/eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/[masked]/g
s/(authorization["']?[ 	]{0,4}[:=][ 	]{0,4}["']?(bearer|basic|token)[ 	]{1,4})[A-Za-z0-9+\/=._~-]{4,}/\1[masked]/gI
s/(:\/\/[^ 	\/:@"'<>]{0,128}:)[^ 	\/@"'<>]{1,256}@/\1[masked]@/g
s/((password|passwd|passphrase|secret|api[_-]?key|access[_-]?token|auth[_-]?token)["']?[ 	]{0,2}[=:][ 	]{0,2}["']?)[^ 	"'&;,()<>$]{1,256}/\1[masked]/gI
s/((mysql|mariadb)[a-z-]{0,16}[^|;&]{0,200}[ 	]-p|sshpass[ 	]{1,4}-p[ 	]{0,4})[^ 	'";|&]{1,256}/\1[masked]/g
SED
timed() {
	name=$1
	shift
	for _ in 1 2 3; do # each a line of its own
		/usr/bin/env python3 - "$name" "$dir/tape" "$commit" "$@" <<-'PY'
			import os, resource, subprocess, sys
			name, tape, commit, *command = sys.argv[1:]
			with open(tape, "rb") as f:
			    subprocess.run(command, stdin=f, stdout=subprocess.DEVNULL, check=False)
			use = resource.getrusage(resource.RUSAGE_CHILDREN)
			print(f"{name}\tms/MB\t{(use.ru_utime + use.ru_stime) * 1e3 / (os.path.getsize(tape) / 1e6):.2f}\t-\t1\t{commit}")
		PY
	done
}
timed perl perl "$dir/masks.pl" "$dir/rules"
LC_ALL=C timed sed sed -E -f "$dir/masks.sed"
if command -v rg >/dev/null; then
	cut -f2 "$dir/rules" >"$dir/masks.rg"
	timed ripgrep rg -P -N --passthru --replace '[masked]' -f "$dir/masks.rg"
fi
