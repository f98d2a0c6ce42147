#!/usr/bin/env bash
# Rebuilds plugin.wasm of every example whose toolchain is found on this machine; for each one that is
# missing it says so in one line and goes on. Exit 1 only when a toolchain that is there fails to build.
set -uo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
failed=0

missing() { echo "skip  $1: $2"; }

build() {
  local name=$1
  shift
  if (cd "$name" && "$@" && chmod 644 plugin.wasm); then
    echo "built $name/plugin.wasm ($(wc -c <"$name/plugin.wasm") bytes)"
  else
    echo "FAIL  $name" >&2
    failed=1
  fi
}

build_go() {
  GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags='-s -w' -o plugin.wasm .
}

build_rust() {
  RUSTFLAGS="--remap-path-prefix=$HOME=~ --remap-path-prefix=$root=." \
    cargo build --quiet --release --locked --target wasm32-unknown-unknown &&
    install -m 644 target/wasm32-unknown-unknown/release/custom_response_header.wasm plugin.wasm
}

build_assemblyscript() {
  "$node" "$root/node_modules/assemblyscript/bin/asc.js" assembly/index.ts --config asconfig.json
}

# Without node_modules/.bin on PATH: clang would run the wasm-opt there, and the result would depend on who calls.
build_cpp() {
  PATH=${PATH//"$root/node_modules/.bin:"/} "$clang" --target=wasm32 -std=c++20 -Os -flto -fno-exceptions -fno-rtti -fno-builtin -nostdlib -Wall -Wextra -Werror \
    -Wl,--no-entry -Wl,--strip-all -Wl,--lto-O2 -o plugin.wasm plugin.cc
}

if command -v go >/dev/null && [ -n "$(go env GOVERSION | grep -E 'go1\.(2[4-9]|[3-9][0-9])')" ]; then
  build go build_go
else
  missing go "needs Go 1.24 or newer on PATH: https://go.dev/dl/"
fi

if ! command -v cargo >/dev/null; then
  missing rust "needs cargo (Rust 1.85 or newer) on PATH: https://rustup.rs, then 'rustup target add wasm32-unknown-unknown'"
elif [ ! -d "$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ]; then
  missing rust "needs the wasm target: 'rustup target add wasm32-unknown-unknown'"
else
  build rust build_rust
fi

node=$root/node_modules/.bin/node
[ -x "$node" ] || node=$(command -v node || true)
if [ -n "$node" ] && [ -f "$root/node_modules/assemblyscript/bin/asc.js" ]; then
  build assemblyscript build_assemblyscript
else
  missing assemblyscript "needs the repository's npm packages: 'npm ci'"
fi

clang=""
for candidate in "${CLANG:-}" clang++-19 clang++ clang++-20 clang++-18 clang++-17 clang++-16; do
  [ -n "$candidate" ] && command -v "$candidate" >/dev/null || continue
  "$candidate" --print-targets 2>/dev/null | grep -q wasm32 && clang=$candidate && break
done
if [ -n "$clang" ]; then
  build cpp build_cpp
else
  missing cpp "needs clang++ 16 or newer with lld: 'apt-get install clang-19 lld-19'"
fi

exit $failed
