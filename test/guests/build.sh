#!/usr/bin/env bash
# Rebuilds wasm/*.wasm from rust/ and wat/; names a toolchain that is missing in one line and goes on.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
bin=$root/node_modules/.bin
mkdir -p wasm

if [ -x "$bin/wat2wasm" ]; then
  for source in wat/*.wat; do
    PATH=$bin:$PATH "$bin/wat2wasm" "$source" -o "wasm/$(basename "$source" .wat).wasm"
  done
  echo "built $(ls wat/*.wat | wc -l) guests from wat/"
else
  echo "skip  wat/: needs the repository's npm packages: 'npm ci'"
fi

if ! command -v cargo >/dev/null; then
  echo "skip  rust/: needs cargo (Rust 1.85 or newer): https://rustup.rs, then 'rustup target add wasm32-unknown-unknown'"
elif [ ! -d "$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ]; then
  echo "skip  rust/: needs the wasm target: 'rustup target add wasm32-unknown-unknown'"
else
  RUSTFLAGS="--remap-path-prefix=$HOME=~ --remap-path-prefix=$root=." \
    cargo build --quiet --release --locked --target wasm32-unknown-unknown --examples
  target=${CARGO_TARGET_DIR:-target}
  for source in rust/*.rs; do
    name=$(basename "$source" .rs)
    [ "$name" = raw ] || install -m 644 "$target/wasm32-unknown-unknown/release/examples/${name//-/_}.wasm" "wasm/$name.wasm"
  done
  echo "built $(($(ls rust/*.rs | wc -l) - 1)) guests from rust/"
fi
