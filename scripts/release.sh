#!/usr/bin/env bash
# npm run release -- VERSION [--dry-run]
#
# Sets the version in package.json, dates its section of CHANGELOG.md, commits, tags vVERSION, and builds into release/: the npm tarball,
# the Debian package, the bill of materials (CycloneDX), the Kubernetes manifests with this version, and SHA256SUMS. Pushes and publishes nothing. Refuses on changes that are not committed, on an existing tag, and
# without a section "## VERSION (not released)" in CHANGELOG.md. --dry-run checks everything and prints the steps.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  printf 'release: %s\n' "$@" >&2
  exit 1
}

version=
dry_run=no
for argument in "$@"; do
  case $argument in
    --dry-run) dry_run=yes ;;
    -*) fail "unknown option $argument; expected VERSION and --dry-run" ;;
    *) [[ -z $version ]] || fail "more than one version: $version, $argument"; version=$argument ;;
  esac
done
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] ||
  fail "expected a version such as 1.2.3, got '$version'" "  fix: npm run release -- 1.2.3"
tag=v$version
date=$(date -u +%F)
heading="## $version (not released)"

[[ -z $(git status --porcelain) ]] || fail "the working tree has changes that are not committed" "  fix: commit or stash them"
! git rev-parse -q --verify "refs/tags/$tag" >/dev/null || fail "the tag $tag exists" "  fix: choose a new version"
grep -qxF "$heading" CHANGELOG.md || fail "CHANGELOG.md has no section '$heading'" "  fix: add it with the changes of this version"

# Runs a step, or prints it.
step() {
  printf 'release: %s\n' "$*" >&2
  [[ $dry_run == yes ]] || "$@"
}

date_section() {
  local escaped=${heading//./\\.}
  sed -i "s/^$escaped\$/## $version ($date)/" CHANGELOG.md
}

bill_of_materials() { node scripts/sbom.js >"release/m2push-$version.cdx.json"; }

# The images have the version as their tag.
manifests() {
  sed -E "s|^( +image: .*):[^:]+\$|\\1:$version|" packaging/kubernetes/m2push.yaml >"release/m2push-$version.kubernetes.yaml"
}

sums() { (cd release && sha256sum -- * >../SHA256SUMS && mv ../SHA256SUMS .); }

step npm run -s check
step npm version --no-git-tag-version --allow-same-version "$version"
step date_section
step git add package.json package-lock.json CHANGELOG.md
step git commit -q -m "Release $version"
step git tag -a "$tag" -m "m2push $version"
step rm -rf release
step mkdir release
step npm pack --silent --pack-destination release
step npm run -s deb -- release
step bill_of_materials
step manifests
step sums
if [[ $dry_run == no ]]; then
  echo "release: built $(printf '%s ' release/*)"
  echo "release: next: git push --follow-tags && npm publish release/m2push-$version.tgz"
  echo "release: images: podman build --format docker -t m2push:$version -f packaging/container/Containerfile . (docs/operating.md)"
fi
