#!/usr/bin/env bash
# Prepares a checkout: `setup.sh run` for npm start, `setup.sh test` for npm test. A checkout that is ready stays unchanged.
# Steps: check the version of Node.js; install the Debian packages whose programs are missing; install the npm packages when
# the lock file is newer; build when a source is newer (`run` only: npm test compiles by itself). When a step fails, the
# script prints the fix and exits with 1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# nats-server, nginx and haproxy are in /usr/sbin, which the PATH of an ordinary user may lack.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

NODE_VERSION=20.15
BUILT=dist/.built # its modification time is the start of the last successful build

fail() {
  printf 'setup: %s\n' "$@" >&2
  exit 1
}

say() { printf 'setup: %s\n' "$*" >&2; }

check_node() {
  local found
  found=$(node -p 'process.versions.node' 2>/dev/null) || fail "expected Node.js $NODE_VERSION or newer, found none" "  fix: install Node.js, for example from https://nodejs.org"
  # sort -V compares versions; -C only checks the order.
  printf '%s\n' "$NODE_VERSION" "$found" | sort -V -C ||
    fail "expected Node.js $NODE_VERSION or newer, found $found" "  fix: install a newer Node.js, for example from https://nodejs.org"
}

has() { command -v "$1" >/dev/null; }

# The Debian packages to install for `run` or `test`. Looks for their programs and headers instead of asking dpkg: a program
# installed in another way is accepted.
missing_packages() {
  has mongrel2 && has m2sh || echo mongrel2-core
  [[ $1 == test ]] || return 0
  has chromium || echo chromium
  has firefox-esr || echo firefox-esr
  has nats-server || echo nats-server
  has nginx || echo nginx
  has lintian || echo lintian
  has haproxy || echo haproxy
  has caddy || echo caddy
  has openssl || echo openssl
  has gcc || echo gcc
  [[ -e /usr/include/stdio.h ]] || echo libc6-dev
  [[ -e /usr/include/zmq.h ]] || echo libzmq3-dev
  # The bindings of ZeroMQ that the samples in docs/examples use. /usr/bin/python3, not another one on the PATH, has Debian's modules.
  [[ -e /usr/lib/python3/dist-packages/zmq ]] || echo python3-zmq
  has php || echo php-cli
  has php && php -r 'exit(extension_loaded("zmq") ? 0 : 1);' || echo php-zmq
  [[ -e /usr/include/czmq.h ]] || echo libczmq-dev
  has ruby && ruby -e 'require "ffi-rzmq"' 2>/dev/null || echo ruby-ffi-rzmq
  # What the recipes in docs/examples/recipes use.
  [[ -e /usr/lib/python3/dist-packages/django ]] || echo python3-django
  [[ -e /usr/lib/python3/dist-packages/fastapi ]] || echo python3-fastapi
  [[ -e /usr/share/php/Symfony/Component/Mercure/autoload.php ]] || echo php-symfony-mercure
  has ruby && ruby -e 'require "sinatra/base"; require "webrick"' 2>/dev/null || echo ruby-sinatra ruby-webrick
}

# Prints the prefix that runs a command as root without a password: nothing for root, "sudo -n" otherwise. Fails without one.
as_root() {
  ((EUID == 0)) && return 0
  has sudo && sudo -n true >/dev/null 2>&1 && echo sudo -n
}

install_packages() {
  local packages root by_hand
  mapfile -t packages < <(missing_packages "$1")
  ((${#packages[@]} > 0)) || return 0
  by_hand="apt-get update && apt-get install ${packages[*]}"
  has apt-get || fail "missing Debian packages: ${packages[*]}" "  fix: this system has no apt-get; install these programs in another way, then start again"
  root=$(as_root) || fail "missing Debian packages: ${packages[*]}" "  fix: run as root, then start again: $by_hand"
  say "installing ${packages[*]}"
  # $root is empty or two words. env, because sudo keeps no variables.
  { $root apt-get -o Acquire::Retries=0 -o Acquire::http::Timeout=5 -o Acquire::https::Timeout=5 update -qq && $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >&2 ||
    fail "installing Debian packages failed" "  fix: run as root to see the cause: $by_hand"
}

# promtool checks the format of /metrics. Installing its package would start a Prometheus server, so only the program is
# extracted.
fetch_promtool() {
  local folder
  has promtool || [[ -x .tools/promtool ]] && return
  has apt-get || fail "missing promtool (Debian package prometheus)" "  fix: this system has no apt-get; install promtool in another way, then start again"
  say "fetching promtool"
  folder=$(mktemp -d)
  { (cd "$folder" && apt-get download -qq prometheus) && dpkg-deb -x "$folder"/prometheus_*.deb "$folder" &&
    mkdir -p .tools && mv "$folder/usr/bin/promtool" .tools/; } >&2 || fail "downloading promtool failed" "  fix: run this to see the cause: apt-get download prometheus"
  rm -rf "$folder"
}

# Whether the npm registry accepts a connection within 5 seconds (npm itself retries for minutes). Behind a proxy this cannot
# be checked, and the answer is yes.
registry_answers() {
  local registry proxy
  registry=$(npm config get registry)
  proxy=$(npm config get https-proxy)
  [[ $proxy == null || -z $proxy ]] || return 0
  node -e '
    const { hostname, port, protocol } = new URL(process.argv[1]);
    setTimeout(() => process.exit(1), 5000);
    const socket = require("node:net").connect({ host: hostname, port: port || (protocol === "http:" ? 80 : 443) });
    socket.on("connect", () => process.exit(0)).on("error", () => process.exit(1));
  ' "$registry"
}

install_modules() {
  # npm writes its own lock file into node_modules at the end of an installation.
  [[ -e node_modules/.package-lock.json && ! package-lock.json -nt node_modules/.package-lock.json ]] && return
  say "installing npm packages"
  # Development packages are needed for `run` too: the build needs the compiler.
  local network=()
  registry_answers || network=(--offline)
  npm ci "${network[@]}" --include=dev --no-audit --no-fund --loglevel=error >&2 && return
  ((${#network[@]} == 0)) || fail "the npm registry does not answer, and npm's cache lacks some packages" \
    "  fix: connect this machine to the network, or set npm's registry to one that answers"
  fail "npm ci failed; its error is above"
}

build() {
  # Folders are compared too: removing or renaming a source changes the time of its folder.
  [[ -e $BUILT && -z $(find src package-lock.json tsconfig.json tsconfig.build.json -newer "$BUILT" -print -quit) ]] && return
  say "building"
  # The stamp is set before the compiler reads the sources: a file saved during the build is newer, and built the next time.
  mkdir -p "${BUILT%/*}" && touch "$BUILT.new"
  npm run -s build >&2 || fail "the build failed; its error is above"
  mv "$BUILT.new" "$BUILT"
}

[[ $# == 1 && $1 =~ ^(run|test)$ ]] || fail "usage: bash setup.sh run|test"
check_node
install_packages "$1"
install_modules
[[ $1 == run ]] || fetch_promtool
[[ $1 == test ]] || build
