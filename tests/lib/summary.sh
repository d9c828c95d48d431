# What tests/run says of a step's log (automake's, or that of tests/unprivileged): why scripts failed, and how many skipped.
# shellcheck shell=sh

SUMMARY_LINES=40 # of one script

# summary_count STEPLOG WORDS: how many there were of these results ("PASS|XFAIL"). The log of what failed, which automake prints
# too, has a summary of its own that is not counted again.
summary_count() {
	awk -v words="^# ($2): " '
		FNR == NR { heads += /^Testsuite summary for /; next }
		/^Testsuite summary for / { on = 1 }
		(on || heads == 0) && $0 ~ words { n += $3 }
		/^# ERROR: / { on = 0 }
		END { print n + 0 }' "$1" "$1"
}

# summary_names STEPLOG RESULTS: their lines without the result, each once; a script is named without .sh, as in its log's name.
summary_names() { sed -nE "s/^($2): //p" "$1" | sed -E 's/^([^ ]+)\.sh( |$)/\1\2/; s/^([^ :]+):/\1/' | sort -u; }

# summary_log STEPLOG DIR SCRIPT: where the output of a script is; DIR: of the build.
summary_log() {
	if [ -f "$2/$3.log" ]; then echo "$2/$3.log"; else echo "$1"; fi
}

# summary_why SCRIPT LOG: its failed tests with what is said about each, and what else looks like a reason.
summary_why() {
	awk -v script="$1" '
		# The driver repeats every line of the script.
		/^(PASS|FAIL|SKIP|XFAIL|XPASS): / { next }
		/^ERROR: tests\// && $2 != script && $2 != script ".sh" { next }
		# In the log of tests/unprivileged every line begins with the script.
		index($0, script ": ") == 1 { $0 = substr($0, length(script) + 3) }
		/^not ok/ && !/# SKIP/ { print; follows = 1; next }
		/^(ERROR:|Bail out!|=+[0-9]+=+ *ERROR)|: runtime error: / { print; next }
		/^# (TOTAL|PASS|SKIP|XFAIL|FAIL|XPASS|ERROR): / { follows = 0 }
		/^#/ { if (follows) print; next }
		{ follows = 0 }' "$2"
}

# summary_failed STEPLOG DIR: each failed script with the reasons, cut.
summary_failed() {
	summary_names "$1" 'FAIL|ERROR|XPASS' | cut -d' ' -f1 | uniq | while read -r summary_script; do
		summary_file=$(summary_log "$1" "$2" "$summary_script")
		summary_text=$(summary_why "$summary_script" "$summary_file")
		# It ended before it said anything.
		[ -n "$summary_text" ] || summary_text=$(tail -n 20 "$summary_file")
		echo "FAIL $summary_script: $summary_file"
		printf '%s\n' "$summary_text" | awk -v max="$SUMMARY_LINES" '
			NR <= max { print "   " $0 }
			END { if (NR > max) printf "   ... and %d lines more\n", NR - max }'
	done
}

# summary_skipped STEPLOG DIR: one line a script; why, its log says.
summary_skipped() {
	# A heading names the script alone.
	summary_names "$1" SKIP | awk '{ n[$1] += NF > 1 } END { for (i in n) print i, (n[i] > 0 ? n[i] : 1) }' | sort |
		while read -r summary_script summary_n; do
			echo "SKIP $summary_script: $summary_n skipped: $(summary_log "$1" "$2" "$summary_script")"
		done
}

# summary_slowest STEPLOG DIR N: the scripts of a step that took longest, with their seconds.
summary_slowest() {
	sed -nE 's/^[A-Z]+: (tests\/[^ ]+) .*/\1/p' "$1" | sed 's/\.sh$//' | sort -u | while read -r summary_script; do
		if [ -f "$2/$summary_script.log" ]; then
			sed -nE "s|^# took ([0-9]+) s$|\1 $summary_script|p" "$2/$summary_script.log"
		fi
	done | sort -rn | head -n "$3"
}
