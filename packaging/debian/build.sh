#!/usr/bin/env bash
# Builds m2push_<version>_<architecture>.deb from a checkout whose npm packages are installed (npm ci):
#
#   packaging/debian/build.sh [FOLDER]      FOLDER: output folder (default: the working folder)
#
# The package contains what npm publishes, the production dependencies, units, configuration, manual page and completions. The script
# needs npm, node, strip and dpkg-deb, but no network and no root. One checkout always gives the same bytes (SOURCE_DATE_EPOCH, or the time of
# the last commit). DEB_COMPRESSION=gzip is faster than xz; DEBFULLNAME and DEBEMAIL name the maintainer, as for Debian's own tools.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/../.." && pwd)
out=$(cd "${1:-.}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
library=$root/usr/lib/m2push

version=$(node -p 'require(process.argv[1]).version' "$project/package.json")
architecture=$(dpkg --print-architecture)
case $architecture in
  amd64) node_architecture=x64 ;;
  arm64) node_architecture=arm64 ;;
  *) echo "build.sh: zeromq and lmdb have no prebuilt binaries for $architecture; fix: build on amd64 or arm64" >&2 && exit 1 ;;
esac
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$project" log -1 --format=%ct)}

# The program, as npm publishes it. (npm's prepack script builds it, unless npm_config_ignore_scripts is set.)
program() {
  # Its output is shown only when it fails: this script prints the path of the package.
  (cd "$project" && npm pack --loglevel=error --pack-destination "$work" >"$work/npm-pack.log" 2>&1) ||
    { cat "$work/npm-pack.log" >&2 && return 1; }
  mkdir -p "$library"
  tar -xzf "$work/m2push-$version.tgz" -C "$library" --strip-components=1
}

# Prints the folders of the production dependencies that are installed, by the lock file. npm ls does not serve: it lists packages of
# development too, or fails, when anything in node_modules is newer than npm's own record.
production_modules() {
  node -e '
    const { packages } = JSON.parse(require("fs").readFileSync("package-lock.json", "utf8"));
    for (const [path, { dev, optional, devOptional }] of Object.entries(packages)) {
      if (path === "" || dev) continue;
      if (require("fs").existsSync(path)) console.log(path);
      else if (!optional && !devOptional) throw new Error(`${path} is not installed; fix: npm ci`);
    }'
}

# The production dependencies, copied from node_modules.
modules() {
  local path
  (cd "$project" && production_modules) >"$work/production"
  while read -r path; do
    echo "$path/package.json" >>"$work/modules"
    mkdir -p "$library/$path"
    # Nested packages are listed separately.
    tar -C "$project/$path" --exclude=./node_modules -cf - . | tar -C "$library/$path" -xf -
  done <"$work/production"
  prune
}

# Removes what the program does not read: binaries for other systems and for versions of Node.js before 20 (ABI 115), build tools,
# sources, tests, benchmarks, documents. Of cmake-ts, a build tool of 6 MB, zeromq needs one file, which finds its binary.
prune() {
  local modules=$library/node_modules path
  find "$modules/zeromq/build" -mindepth 1 -maxdepth 1 -type d ! -name linux -exec rm -r {} +
  find "$modules/zeromq/build/linux" -mindepth 1 -maxdepth 1 ! -name "$node_architecture" -exec rm -r {} +
  find "$modules" -name '*.node' | while read -r path; do
    needed_binary "$path" || rm "$path"
  done
  find "$modules/cmake-ts" -mindepth 1 -type f ! -path "$modules/cmake-ts/package.json" ! -path '*/build/loader.js' -delete
  rm -rf "$modules/node-addon-api" "$modules"/*/node_modules/node-addon-api "$modules/lmdb/dependencies" "$modules/zeromq/src" \
    "$modules/zeromq/script" "$modules/lmdb/src"
  find "$modules" -type d \( -name test -o -name tests -o -name __tests__ -o -name bench -o -name benchmark -o -name benchmarks \
    -o -name docs -o -name example -o -name examples -o -name '.*' \) -prune -exec rm -r {} +
  find "$modules" "$library/dist" -type f \( -name '*.map' -o -name '*.tsbuildinfo' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' \
    -o -name '*.md' -o -name '.*' -o -name '*.sh' -o -name '*.c' -o -name '*.cpp' -o -name '*.h' -o -name '*.gyp' -o -name 'CMakeLists.txt' \
    -o -name '*.html' -o -name '*.sln' \) ! -iname 'license*' -delete
  find "$modules" -type d -empty -delete
  find "$modules" -type f -exec chmod 644 {} +
  find "$modules" -name '*.node' -exec strip --strip-unneeded {} +
}

# Whether a binary can be loaded: one for glibc, for Node.js 20 or newer, that zeromq's own list names.
needed_binary() {
  local abi
  [[ $1 != *musl* ]] || return 1
  [[ $1 != */zeromq/* ]] || grep -qF "${1#*/zeromq/build/}" "$library/node_modules/zeromq/build/manifest.json" || return 1
  abi=$(grep -oP '(abi|glibc-)\K[0-9]+' <<<"${1##*/node_modules/}" | head -n 1)
  [[ -z $abi || $abi -ge 115 ]]
}

# Configuration, units, users.
system() {
  install -D -m 644 -t "$root/etc/m2push" "$project"/packaging/etc/*
  install -D -m 644 "$here/logrotate" "$root/etc/logrotate.d/m2push"
  install -D -m 644 -t "$root/lib/systemd/system" "$project"/packaging/systemd/*.service
  install -D -m 644 "$project/packaging/systemd/sysusers.conf" "$root/usr/lib/sysusers.d/m2push.conf"
  mkdir -p "$root/usr/bin"
  ln -s ../lib/m2push/dist/cli/main.js "$root/usr/bin/m2push"
}

# Documentation, manual page and completions.
documents() {
  local share=$root/usr/share program=$library/dist/cli/main.js
  mkdir -p "$share/m2push" "$share/doc/m2push" "$share/man/man1" \
    "$share/bash-completion/completions" "$share/zsh/vendor-completions" "$share/fish/vendor_completions.d"
  mv "$library/html" "$share/m2push/html"
  # The program reads streams with the parser of the client (`imports` in package.json).
  ln -s ../../share/m2push/html "$library/html"
  mv "$library/config" "$share/doc/m2push/examples"
  mv "$library/docs" "$library/README.md" "$share/doc/m2push/"
  gzip -9n <"$library/CHANGELOG.md" >"$share/doc/m2push/CHANGELOG.md.gz"
  changelog <"$library/CHANGELOG.md" | gzip -9n >"$share/doc/m2push/changelog.gz"
  copyright >"$share/doc/m2push/copyright"
  rm -r "$library/packaging" "$library/CHANGELOG.md" "$library/LICENSE"
  pages man | gzip -9n >"$share/man/man1/m2push.1.gz"
  node "$program" completion bash >"$share/bash-completion/completions/m2push"
  node "$program" completion zsh >"$share/zsh/vendor-completions/_m2push"
  node "$program" completion fish >"$share/fish/vendor_completions.d/m2push.fish"
}

# Runs the generator of packaging/pages on the program of the package. It imports ../../src, which is a link to the compiled program here:
# only the generator is compiled, which takes a second instead of six.
pages() {
  local pages=$work/pages
  mkdir -p "$pages"
  ln -sfn "$library/dist" "$pages/src"
  echo '{ "type": "module" }' >"$pages/package.json"
  (cd "$project" && node node_modules/typescript/bin/tsc -p packaging/tsconfig.json --outDir "$pages")
  node "$pages/packaging/pages/main.js" "$@"
}

# Prints the latest version of CHANGELOG.md in Debian's form: its list before the first subheading.
changelog() {
  printf 'm2push (%s) unstable; urgency=medium\n\n' "${version/-/\~}"
  awk '/^## / { versions++ } /^### / || versions > 1 { exit } versions == 1 && /^- / { sub(/^- /, ""); print }' |
    fold -s -w 74 | awk '{ sub(/ +$/, ""); print (wrapped ? "    " : "  * ") $0; wrapped = !/\.$/ }'
  printf '\n -- %s  %s\n' "$(maintainer)" "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
}

maintainer() { printf '%s' "${DEBFULLNAME:-m2push maintainers} <${DEBEMAIL:-maintainers@m2push.invalid}>"; }

copyright() {
  cat "$library/LICENSE"
  printf '\n/usr/lib/m2push/node_modules contains third-party packages, each with its licence'
  printf ' (Apache-2.0: /usr/share/common-licenses/Apache-2.0):\n\n'
  (cd "$library" && find node_modules -name package.json -path '*/node_modules/*' | grep -xFf "$work/modules" | sort | xargs node -e '
    for (const file of process.argv.slice(1)) {
      const { name, version, license } = JSON.parse(require("fs").readFileSync(file, "utf8"));
      console.log(`${name} ${version}: ${license ?? "see its folder"}`);
    }')
}

# The control files of the package.
control() {
  local size maintainer
  maintainer=$(maintainer)
  mkdir -p "$root/DEBIAN"
  # 1.0.0-rc.1 becomes 1.0.0~rc.1, which dpkg sorts before 1.0.0.
  size=$(du -sk "$root" | cut -f1)
  sed -e "s/@VERSION@/${version/-/\~}/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SIZE@/$size/" \
    -e "s|@MAINTAINER@|${maintainer//[|&\\]/}|" \
    "$here/control.in" >"$root/DEBIAN/control"
  (cd "$root" && find etc -type f -printf '/%p\n' | sort) >"$root/DEBIAN/conffiles"
  install -m 755 -t "$root/DEBIAN" "$here/postinst" "$here/prerm" "$here/postrm"
}

program
modules
system
documents
control
# Modes and times do not depend on the umask and the clock.
chmod -R u+rwX,go+rX,go-w "$root"
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --build --root-owner-group -Z"${DEB_COMPRESSION:-xz}" "$root" "$out/m2push_${version/-/\~}_$architecture.deb" >&2
echo "$out/m2push_${version/-/\~}_$architecture.deb"
