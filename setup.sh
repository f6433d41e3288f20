#!/usr/bin/env bash
# Makes a checkout ready, and does nothing where it already is: `setup.sh run` for npm start, `setup.sh test` for npm test.
# Steps: check Node, install Debian packages whose programs are missing, npm packages when the lock file is newer, then
# (run only; npm test compiles for itself) build when a source is newer. Exits 1 and says what to do where it cannot.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# nats-server and nginx live in /usr/sbin, which is not everybody's path.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

NODE_MAJOR=20
BUILT=dist/.built # its time is that of the start of the last good build

fail() {
  printf 'setup: %s\n' "$@" >&2
  exit 1
}

say() { printf 'setup: %s\n' "$*" >&2; }

check_node() {
  local major
  major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null) || fail "Node $NODE_MAJOR or newer is needed; found none"
  ((major >= NODE_MAJOR)) || fail "Node $NODE_MAJOR or newer is needed; found $(node --version)"
}

has() { command -v "$1" >/dev/null; }

# Debian packages of which something is missing, for `run` or `test`. By what they bring, not by dpkg: a program that was
# installed in another way is as good.
missing_packages() {
  has mongrel2 && has m2sh || echo mongrel2-core
  [[ $1 == test ]] || return 0
  has chromium || echo chromium
  has firefox-esr || echo firefox-esr
  has nats-server || echo nats-server
  has nginx || echo nginx
  has gcc || echo gcc
  [[ -e /usr/include/stdio.h ]] || echo libc6-dev
  [[ -e /usr/include/zmq.h ]] || echo libzmq3-dev
}

# The words that make a command run as root without asking anybody; fails where there are none.
as_root() {
  ((EUID == 0)) && return 0
  has sudo && sudo -n true >/dev/null 2>&1 && echo sudo -n
}

install_packages() {
  local packages root by_hand
  mapfile -t packages < <(missing_packages "$1")
  ((${#packages[@]} > 0)) || return 0
  by_hand="apt-get update && apt-get install ${packages[*]}"
  has apt-get || fail "these Debian packages are needed, and there is no apt-get to install them: ${packages[*]}"
  root=$(as_root) || fail "as root, install what is missing, then start again:" "  $by_hand"
  say "installing ${packages[*]}"
  # $root is empty or two words. env, because sudo keeps no variables.
  { $root apt-get -o Acquire::Retries=0 -o Acquire::http::Timeout=5 -o Acquire::https::Timeout=5 update -qq && $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >&2 ||
    fail "that failed; to see why, as root:" "  $by_hand"
}

# Prometheus' own checker of /metrics. Its package would start a server: only the program is taken out of it.
fetch_promtool() {
  local folder
  has promtool || [[ -x .tools/promtool ]] && return
  has apt-get || fail "promtool is needed (Debian package prometheus), and there is no apt-get to get it"
  say "fetching promtool"
  folder=$(mktemp -d)
  { (cd "$folder" && apt-get download -qq prometheus) && dpkg-deb -x "$folder"/prometheus_*.deb "$folder" &&
    mkdir -p .tools && mv "$folder/usr/bin/promtool" .tools/; } >&2 || fail "that failed: apt-get download prometheus"
  rm -rf "$folder"
}

# Whether the npm registry can be connected to, within 5 seconds. npm itself tries for minutes. Behind a proxy nobody can tell: yes.
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
  # npm keeps a lock file of its own in node_modules, written when everything is in place.
  [[ -e node_modules/.package-lock.json && ! package-lock.json -nt node_modules/.package-lock.json ]] && return
  say "installing npm packages"
  # Even to run: the build needs the compiler.
  local network=()
  registry_answers || network=(--offline)
  npm ci "${network[@]}" --include=dev --no-audit --no-fund --loglevel=error >&2 && return
  ((${#network[@]} == 0)) || fail "the npm registry does not answer, and npm's cache does not have all packages" \
    "  fix: connect this machine to the network, or set npm's registry to one that answers"
  fail "npm ci failed, see above"
}

build() {
  # Directories count: removing or renaming a source changes theirs.
  [[ -e $BUILT && -z $(find src package-lock.json tsconfig.json tsconfig.build.json -newer "$BUILT" -print -quit) ]] && return
  say "building"
  # Stamped before the compiler reads: what is saved while it runs is newer, and built the next time.
  mkdir -p "${BUILT%/*}" && touch "$BUILT.new"
  npm run -s build >&2 || fail "the build failed, see above"
  mv "$BUILT.new" "$BUILT"
}

[[ $# == 1 && $1 =~ ^(run|test)$ ]] || fail "usage: bash setup.sh run|test"
check_node
install_packages "$1"
install_modules
[[ $1 == run ]] || fetch_promtool
[[ $1 == test ]] || build
