# A provider with TLS and a CA of its own, below $RIG/op. Source after tap.sh and bastion.sh.
# shellcheck shell=sh

: "${BASTION_NPM_OIDC:=${TMPDIR:-/tmp}/bastion-npm-$(id -u)-oidc}" # kept between runs

oidc_installed() {
	for oidc_package in oidc-provider jose playwright-core; do
		[ -f "$BASTION_NPM_OIDC/node_modules/$oidc_package/package.json" ] || return 1
	done
}

# Two tests at a time may come here.
oidc_install() {
	mkdir -p "$BASTION_NPM_OIDC" && (
		flock 9
		oidc_installed && exit 0
		cd "$BASTION_NPM_OIDC" && npm install --no-audit --no-fund --silent --ignore-scripts oidc-provider@9 jose@6 \
			playwright-core@1 >"$RIG/npm.log" 2>&1
	) 9>"$BASTION_NPM_OIDC/lock"
}

# oidc_need: what npm has, or the whole test is skipped.
oidc_need() {
	command -v node >/dev/null || skip_all 'needs node: contrib/install-deps --test'
	command -v npm >/dev/null || skip_all 'needs npm: contrib/install-deps --test'
	oidc_installed || oidc_install || skip_all 'npm cannot install oidc-provider'
	# Modules are looked for beside the script.
	mkdir -p "$RIG/op"
	cp "$BASTION_SRC"/tests/oidc/*.mjs "$RIG/op/"
	ln -s "$BASTION_NPM_OIDC/node_modules" "$RIG/op/node_modules"
}

oidc_pki() {
	(
		cd "$RIG/op" || exit 1
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 3 -subj /CN=tests \
			-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout op.key -out op.csr -subj /CN=localhost
		printf 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' >ext
		openssl x509 -req -in op.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out op.pem
	) >"$RIG/pki.log" 2>&1
}

# oidc_up [NAME=VALUE...]: the provider runs; sets oidc_issuer and oidc_pid. Environment for op.mjs as arguments.
oidc_up() {
	[ -f "$RIG/op/ca.pem" ] || oidc_pki || return 1
	rm -f "$RIG/op/issuer"
	env NODE_EXTRA_CA_CERTS="$RIG/op/ca.pem" "$@" node "$RIG/op/op.mjs" "$RIG/op" >>"$RIG/op.log" 2>&1 &
	oidc_pid=$!
	rig_pids="$rig_pids $oidc_pid"
	wait_for 20 test -f "$RIG/op/issuer" || return 1
	oidc_issuer=$(cat "$RIG/op/issuer")
}

oidc_down() {
	kill "$oidc_pid" 2>/dev/null
	wait "$oidc_pid" 2>/dev/null
}

# oidc_rig JSON: an order to the provider (op.mjs); prints its answer.
oidc_rig() {
	curl -sS --max-time 10 --cacert "$RIG/op/ca.pem" -d "$1" "$oidc_issuer/_rig"
}

# oidc_conf FILE CLIENT [more lines on stdin when $3 is -]: a configuration of the module.
oidc_conf() {
	{
		cat <<-YAML
			issuer: $oidc_issuer
			client_id: $2
			ca_file: $RIG/op/ca.pem
			state: $RIG/op/state
			scopes: [openid, profile, email, groups]
			groups_claim: groups
			timeout: 3s
			limits: {per_source: ${oidc_per_source:-100}, per_person: ${oidc_per_person:-1000}}
		YAML
		if [ "${3-}" = - ]; then cat; fi
	} >"$1"
}

# oidc_person URL USER [deny]: somebody with a browser; prints what they read.
oidc_person() {
	oidc_rig "{\"person\": {\"url\": \"$1\", \"user\": \"$2\", \"mode\": \"${3-}\"}}"
}
