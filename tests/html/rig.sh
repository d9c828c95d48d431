# The player and a browser to play with it. Source after tap.sh and bastion.sh.
# shellcheck shell=sh

: "${BASTION_NPM_HTML:=${TMPDIR:-/tmp}/bastion-npm-$(id -u)-html}" # kept between runs
PLAYER=$BASTION_NPM_HTML/player
export PLAYER

html_installed() {
	[ -f "$BASTION_NPM_HTML/node_modules/playwright-core/package.json" ] && [ -f "$PLAYER/VERSION" ]
}

# Two tests at a time may come here.
html_install() {
	mkdir -p "$BASTION_NPM_HTML" && (
		flock 9
		"$BASTION_SRC/contrib/get-player" "$PLAYER" || exit 1
		html_installed && exit 0
		cd "$BASTION_NPM_HTML" && npm install --no-audit --no-fund --silent --ignore-scripts playwright-core@1
	) 9>"$BASTION_NPM_HTML/lock" >"$RIG/npm.log" 2>&1
}

# html_need: what npm has, or the whole test is skipped.
html_need() {
	command -v node >/dev/null || skip_all 'needs node: contrib/install-deps --test'
	command -v npm >/dev/null || skip_all 'needs npm: contrib/install-deps --test'
	[ -x /usr/bin/chromium ] || skip_all 'needs chromium: contrib/install-deps --test'
	html_install || skip_all 'npm cannot install asciinema-player and playwright-core'
	# Modules are looked for beside the script.
	mkdir -p "$RIG/html"
	cp "$BASTION_SRC/tests/html/page.mjs" "$RIG/html/"
	ln -s "$BASTION_NPM_HTML/node_modules" "$RIG/html/node_modules"
}

# html_look ORDER FILE...: what a browser shows of them (page.mjs), as JSON.
html_look() {
	timeout 120 node "$RIG/html/page.mjs" "$@" 2>>"$RIG/browser.log"
}

# tmux_shows RAW COLS ROWS: the screen after these bytes, as tmux understands them; blanks at ends of lines are gone.
tmux_shows() {
	rm -f "$RIG/shown"
	tmux -L "bastion-$$" -f /dev/null new-session -d -x "$2" -y "$3" \
		"stty raw -echo; cat '$1'; : >'$RIG/shown'; exec sleep 60" \; set -g status off
	# Bytes that cat has written may be on their way still: the screen is asked until it stands.
	wait_for 10 test -f "$RIG/shown"
	tmux_before=
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		tmux_now=$(tmux -L "bastion-$$" capture-pane -p | sed 's/ *$//')
		[ "$tmux_now" != "$tmux_before" ] || break
		tmux_before=$tmux_now
		sleep 0.1
	done
	tmux -L "bastion-$$" kill-server
	printf '%s\n' "$tmux_now"
}
