#!/usr/bin/env bash
# Makes a project of every template in a temporary folder, builds it and runs its test, for each toolchain that is found on this
# machine; names the others in one line. Exit 1 when one that is there fails. Fetches packages.
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

check() {
  local language=$1 reason=$2
  if [ -n "$reason" ]; then
    echo "skip  $language: $reason"
  elif (cd "$folder" && "$root/outrigger" plugin new "a-$language" --lang "$language" && make -C "a-$language" test OUTRIGGER="$root/outrigger"); then
    echo "built and tested $language"
  else
    echo "FAIL  $language" >&2
    failed=1
  fi
}

without() { command -v "$1" >/dev/null || echo "needs $1 on PATH"; }

wasm_target() {
  [ -d "$(rustc --print sysroot 2>/dev/null)/lib/rustlib/wasm32-unknown-unknown" ] ||
    echo "needs the wasm target: 'rustup target add wasm32-unknown-unknown'"
}

clang() {
  for name in clang++-19 clang++ clang++-20 clang++-18 clang++-17 clang++-16; do
    "$name" --print-targets 2>/dev/null | grep -q wasm32 && return
  done
  echo "needs clang++ 16 or newer with lld: 'apt-get install clang-19 lld-19'"
}

check go "$(without go)"
check rust "$(without cargo)$(wasm_target)"
check assemblyscript "$(without npm)"
check cpp "$(clang)"
exit $failed
