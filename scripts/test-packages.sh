#!/usr/bin/env bash
# npm run test:packages -- [containers] [bookworm] [trixie]       (default: all three)
#
# containers: builds the images of packaging/container on bases made by mmdebstrap, and runs the services of compose.yaml: a stream stays
# open while the daemon's container is replaced. bookworm, trixie: installs the Debian package in a root of that release, serves,
# upgrades it with a stream open, and purges it. FROM_DEB=FILE is the package to upgrade from; absent = this one with a lower version.
# BASES=FOLDER keeps the bases for the next run.
#
# Needs root, Debian, 3 GB below TMPDIR, and a network for apt and npm; takes ten minutes. buildah isolates with chroot, and podman gets a view
# of /sys/fs/cgroup with version 2 only: both run where a container runtime usually cannot. Uses the ports 6767, 6780, 9997 and 4222.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PROJECT=$PWD
LIMIT_SECONDS=3600 # of the whole run: six times what it takes

fail() {
  printf 'test-packages: %s\n' "$@" >&2
  exit 1
}
say() { printf 'test-packages: %s\n' "$*"; }

((EUID == 0)) || fail "expected root" "  fix: sudo npm run test:packages"
missing=()
for program in mmdebstrap buildah podman curl dpkg-deb; do command -v "$program" >/dev/null || missing+=("$program"); done
((${#missing[@]} == 0)) || fail "missing ${missing[*]}" "  fix: apt-get install mmdebstrap buildah podman crun curl"
for port in 6767 6780 9997 4222; do
  ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || fail "port $port is in use" "  fix: stop the program that listens there"
done

# A mount namespace of our own: what is mounted below goes with the script.
if [[ -z ${TEST_PACKAGES_INSIDE:-} ]]; then
  export TEST_PACKAGES_INSIDE=1
  exec timeout --kill-after=60 "$LIMIT_SECONDS" unshare --mount --propagation private -- bash "$0" "$@"
fi

work=$(mktemp -d)
bases=${BASES:-$work}
started=()
mounted=()
finish() {
  local pid folder
  podman rm --force --time 0 --ignore m2push-test-m2push m2push-test-mongrel2 m2push-test-nats >/dev/null 2>&1 || true
  for pid in "${started[@]}"; do kill -KILL -- "-$pid" 2>/dev/null || true; done
  for folder in "${mounted[@]}"; do umount --recursive --lazy "$folder"; done
  rm -rf --one-file-system "$work"
}
trap finish EXIT
trap 'fail "line $LINENO failed: $BASH_COMMAND"' ERR

parts=("$@")
((${#parts[@]} > 0)) || parts=(containers bookworm trixie)

# ---- Common -------------------------------------------------------------------------------------------------------------------------

# Waits until a command succeeds, at most 30 s.
await() {
  local what=$1 end=$((SECONDS + 30))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || { show_logs; fail "waited 30 s for $what"; }
    sleep 0.2
  done
}
show_logs() { tail -n 20 "$work"/*.log "$work/stream" 2>/dev/null || true; }

base() {
  local suite=$1 tar=$bases/$1.tar
  [[ -e $tar ]] || mmdebstrap --quiet --variant=minbase --include=ca-certificates "$suite" "$tar"
}

# Node.js of a line from npm: prints the path of the program.
node_of() {
  local architecture=x64
  [[ $(uname -m) != aarch64 ]] || architecture=arm64
  mkdir -p "$work/node"
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work/node" "node-linux-$architecture@$1"
  echo "$work/node/node_modules/node-linux-$architecture/bin/node"
}

# Opens a stream that outlives the command: its events are in $work/stream.
open_stream() {
  : >"$work/stream"
  setsid curl --silent --no-buffer http://127.0.0.1:6767/esupdates >>"$work/stream" 2>/dev/null &
  stream=$!
  started+=("$stream")
  await "the stream to open" grep -q '^id: ' "$work/stream"
}
received() { await "the event $1" grep -qx "data: $1" "$work/stream"; }
still_open() { kill -0 "$stream" 2>/dev/null || fail "the stream has ended: $(cat "$work/stream")"; }

# ---- Containers ---------------------------------------------------------------------------------------------------------------------

use_podman() {
  umount --recursive /sys/fs/cgroup
  mount -t cgroup2 none /sys/fs/cgroup
  export CONTAINERS_STORAGE_CONF=$work/storage.conf
  printf '[storage]\ndriver = "vfs"\nrunroot = "%s/run"\ngraphroot = "%s/graph"\n' "$work" "$work" >"$CONTAINERS_STORAGE_CONF"
}

image() {
  local name=$1
  shift
  say "builds the image $name"
  buildah build --isolation=chroot --format docker --quiet --tag "$name" "$@" >"$work/build.log" 2>&1 || { tail -n 30 "$work/build.log"; false; }
}

# The images on which ours are built: a Debian, and one with Node.js and npm. A machine behind a proxy has certificates of its own.
base_images() {
  local context=$work/context
  base bookworm && base trixie
  podman import --quiet "$bases/bookworm.tar" localhost/m2push-test/debian >/dev/null
  podman import --quiet "$bases/trixie.tar" localhost/m2push-test/trixie >/dev/null
  mkdir -p "$context"
  cp "$(node_of 24)" "$context/node"
  cp -rL "$(dirname "$(readlink -f "$(command -v npm)")")/.." "$context/npm"
  cp /etc/ssl/certs/ca-certificates.crt "$context/"
  cat >"$context/Containerfile" <<'END'
FROM localhost/m2push-test/trixie
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends libstdc++6 ca-certificates
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
END
  image localhost/m2push-test/node "$context"
  printf 'FROM localhost/m2push-test/debian\nRUN apt-get update -qq && apt-get install -y -qq --no-install-recommends nats-server\nENTRYPOINT ["/usr/sbin/nats-server"]\n' >"$work/nats.Containerfile"
  image docker.io/library/nats:2.12-alpine --file "$work/nats.Containerfile" "$context"
}

run_service() {
  local service=$1 arguments
  shift
  mapfile -t arguments < <(node scripts/compose-arguments.js "$service")
  # Without cgroups and with limits of its own, a container starts where neither can be set.
  podman run --detach --name "m2push-test-$service" --cgroups=disabled --ulimit nofile=20000:20000 --ulimit nproc=4096:4096 \
    --network host "$@" "${arguments[@]}" >/dev/null
}
in_daemon() { podman exec m2push-test-m2push "$@"; }
publish_in() { in_daemon node /usr/lib/m2push/dist/cli/main.js publish "$1" >/dev/null; }
ready() { curl --silent --fail http://127.0.0.1:6780/readyz; }

test_containers() {
  use_podman
  base_images
  image m2push --build-arg NODE_IMAGE=localhost/m2push-test/node --file packaging/container/Containerfile .
  image m2push-mongrel2 --build-arg DEBIAN_IMAGE=localhost/m2push-test/debian --file packaging/container/mongrel2.Containerfile .
  run_service mongrel2
  run_service m2push
  await "the daemon to be ready" ready
  check_container
  open_stream
  publish_in one && received one
  replace_daemon
  publish_in two && received two && still_open
  say "a stream stayed open while the daemon's container was replaced"
  in_cluster
  podman rm --force --time 5 m2push-test-m2push m2push-test-mongrel2 m2push-test-nats >/dev/null
  kill -- "-$stream" 2>/dev/null || true
  say "containers: passed"
}

check_container() {
  podman healthcheck run m2push-test-m2push
  [[ $(in_daemon id -u) == 10001 && $(podman exec m2push-test-mongrel2 id -u) == 10001 ]]
  ! in_daemon touch /etc/x 2>/dev/null
  ! podman exec m2push-test-mongrel2 touch /etc/x 2>/dev/null
  say "health check, user and read-only root are as stated"
}

replace_daemon() {
  local code
  podman stop m2push-test-m2push >/dev/null
  code=$(podman inspect --format '{{.State.ExitCode}}' m2push-test-m2push)
  [[ $code == 0 ]] || fail "the daemon ended with $code"
  podman rm m2push-test-m2push >/dev/null
  run_service m2push
  await "the daemon to be ready again" ready
}

# The same with a NATS server. Its history is that of the stream, so the open stream gets a gap and goes on.
in_cluster() {
  sed '$a [cluster]\nnats = ["nats://127.0.0.1:4222"]' packaging/container/m2push.toml >"$work/m2push.toml"
  run_service nats
  podman rm --force --time 15 m2push-test-m2push >/dev/null
  run_service m2push --volume "$work/m2push.toml:/etc/m2push/m2push.toml:ro"
  await "the daemon to be ready in a cluster" ready
  publish_in three && received three && still_open
  say "the daemon serves with NATS"
}

# ---- Debian -------------------------------------------------------------------------------------------------------------------------

deb() {
  [[ ! -e $work/deb ]] || return 0
  mkdir "$work/deb" "$work/old"
  say "builds the Debian package"
  DEB_COMPRESSION=gzip bash packaging/debian/build.sh "$work/deb" >/dev/null 2>"$work/deb.log"
  new_deb=$(echo "$work"/deb/*.deb)
  old_deb=${FROM_DEB:-$work/old/m2push_0.0.1_all.deb}
  [[ -z ${FROM_DEB:-} ]] || return 0
  dpkg-deb -R "$new_deb" "$work/old/root"
  sed -i 's/^Version: .*/Version: 0.0.1/' "$work/old/root/DEBIAN/control"
  dpkg-deb --root-owner-group -Zgzip -b "$work/old/root" "$old_deb" >/dev/null
}

# A package "nodejs" for a release whose own is too old: it stands for one of another archive.
node_deb() {
  local root=$work/nodejs
  mkdir -p "$root/usr/bin" "$root/DEBIAN"
  cp "$(node_of 24)" "$root/usr/bin/node"
  printf 'Package: nodejs\nVersion: 24.0.0\nArchitecture: %s\nMaintainer: T <t@example.com>\nDepends: libstdc++6\nDescription: Node.js\n' \
    "$(dpkg --print-architecture)" >"$root/DEBIAN/control"
  dpkg-deb --root-owner-group -Zgzip -b "$root" "$1" >/dev/null
}

# The environment of the root, not that of this machine.
CLEAN=(env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive)
inside() { chroot "$root" "${CLEAN[@]}" "$@"; }
install_in() { inside apt-get install -y -qq "$@" >>"$work/apt.log" 2>&1 || { tail -n 20 "$work/apt.log"; false; }; }

# What systemd does for the units: folders, user, working folder.
start_unit() {
  local user=$1 folders=$2 log=$work/$1.log
  shift 2
  local name
  for name in $folders; do inside install -d -o "$user" -g "$user" -m 0750 "$name"; done
  setsid chroot "$root" "${CLEAN[@]}" setpriv --reuid "$user" --regid "$user" --groups "$user,mongrel2-m2push" --inh-caps=-all \
    sh -c 'cd "$0" && umask 0077 && exec "$@"' "${folders%% *}" "$@" >>"$log" 2>&1 &
  unit=$!
  started+=("$unit")
}
start_mongrel2() {
  start_unit mongrel2-m2push "/var/lib/mongrel2-m2push /run/mongrel2-m2push /var/log/mongrel2-m2push" env LOGNAME=mongrel2 sh -c \
    'umask 0007; m2sh load -config /etc/m2push/mongrel2.conf -db config.sqlite && exec mongrel2 config.sqlite c2b2e2f6-6f37-4c0d-9a5b-1d1c8f1f0a67'
  mongrel2=$unit
}
start_daemon() {
  start_unit m2push /var/lib/m2push m2push serve -c /etc/m2push/m2push.toml
  daemon=$unit
  await "the daemon to be ready" ready
}
stop_unit() {
  kill -TERM -- "-$1"
  wait "$1" || true
}
publish() { inside m2push publish "$1" >/dev/null; }

prepare_root() {
  root=$work/root-$1
  mkdir "$root"
  tar -xf "$bases/$1.tar" -C "$root"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mounted=("$root/proc" "$root/dev")
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  # No service is started by a package here.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" && chmod 755 "$root/usr/sbin/policy-rc.d"
  # Debian 13 has no Mongrel2: the package of Debian 12 runs there.
  [[ $1 != trixie ]] || sed -n 's/^deb \(.*\) trixie main.*/deb \1 bookworm main/p' "$root/etc/apt/sources.list" >"$root/etc/apt/sources.list.d/bookworm.list"
  inside apt-get update -qq >>"$work/apt.log" 2>&1
  [[ $1 != bookworm ]] || { node_deb "$root/nodejs.deb" && install_in /nodejs.deb; }
}

test_debian() {
  local suite=$1 folder
  base "$suite" && deb && prepare_root "$suite"
  cp "$old_deb" "$root/old.deb" && cp "$new_deb" "$root/new.deb"
  install_in --no-install-recommends mongrel2-core /old.deb
  say "$suite: installed $(inside dpkg-query -W m2push nodejs mongrel2-core | tr '\t\n' ' ;')"
  [[ $(stat -c '%a %U %G' "$root/etc/m2push/m2push.toml") == "640 root "* ]]
  start_mongrel2
  start_daemon
  open_stream
  publish one && received one
  install_in /new.deb
  say "$suite: upgraded to $(inside dpkg-query -W -f '${Version}' m2push)"
  stop_unit "$daemon"
  start_daemon
  publish two && received two && still_open
  say "$suite: a stream stayed open over the upgrade"
  stop_unit "$daemon"
  stop_unit "$mongrel2"
  purge "$suite"
  for folder in "${mounted[@]}"; do umount --recursive --lazy "$folder"; done
  mounted=()
  rm -rf --one-file-system "$root"
  say "$suite: passed"
}

purge() {
  local left
  inside apt-get purge -y -qq m2push >>"$work/apt.log" 2>&1
  # Logs and caches of apt and dpkg name it; the users stay (postrm).
  left=$(cd "$root" && find . -xdev \( -path ./proc -o -path ./dev -o -path ./var/cache -o -path ./var/log/apt \) -prune -o -name '*m2push*' -print)
  left=$(grep -v '^./run/' <<<"$left" || true)
  [[ -z $left ]] || fail "$1: a purge leaves $left"
  ! inside dpkg-query -W m2push >/dev/null 2>&1 || fail "$1: dpkg still knows m2push"
  say "$1: a purge leaves nothing"
}

for part in "${parts[@]}"; do
  case $part in
    containers) test_containers ;;
    bookworm | trixie) test_debian "$part" ;;
    *) fail "unknown argument $part; expected containers, bookworm, trixie" ;;
  esac
done
say "all passed"
