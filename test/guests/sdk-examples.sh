#!/usr/bin/env bash
# sdk-examples.sh OUT [CHECKOUT…]: builds the SDKs' own examples into the folder OUT, for test/conformance/module-table.ts.
# Rust's come with the crate (0.1.4, the last that has them); those of other SDKs and versions from checkouts of their repositories
# (proxy-wasm-go-sdk, proxy-wasm-rust-sdk, solo-io/proxy-runtime): every folder in one with a main.go, a Cargo.toml of a cdylib or an
# assembly/index.ts. Nothing of them is kept here. A toolchain that is missing is named in one line. By hand: it takes minutes.
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
[ $# -ge 1 ] || { echo "usage: sdk-examples.sh OUT [CHECKOUT…]" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
failed=0

built() { echo "built $1"; }
broken() {
  echo "FAIL  $1" >&2
  failed=1
}

# Every cdylib of the cargo project in the folder $1, as OUT/$2-….wasm.
build_rust() {
  local file target=$work/target-$2
  if (cd "$1" && cargo build --quiet --release --target wasm32-unknown-unknown --target-dir "$target" ${3:+"$3"} 2>"$work/log"); then
    for file in "$target"/wasm32-unknown-unknown/release/{,examples/}*.wasm; do
      case $file in
        */\*.wasm | *-????????????????.wasm) ;;
        *) install -m 644 "$file" "$out/$2-$(basename "$file")" && built "$2-$(basename "$file")" ;;
      esac
    done
  else
    tail -5 "$work/log" >&2
    broken "$1"
  fi
}

build_go() {
  local name
  name=go-$(basename "$(dirname "$1")" | sed 's/^examples$//')-$(basename "$1").wasm
  name=${name//--/-}
  if (cd "$1" && GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -o "$out/$name" .); then built "$name"; else broken "$1"; fi
}

# With the compiler and the SDK of this repository, whose examples/assemblyscript/README.md says why the shim.
build_assemblyscript() {
  local name
  name=assemblyscript-$(basename "$1").wasm
  if (cd "$1" && "$root/node_modules/.bin/node" "$root/node_modules/assemblyscript/bin/asc.js" assembly/index.ts --outFile "$out/$name" \
    --optimizeLevel 3 --runtime incremental --lib "$root/plugins/examples/assemblyscript/shim" --path "$root/node_modules" \
    --use abort=abort_proc_exit 2>"$work/log"); then built "$name"; else
    grep -m 3 '^ERROR' "$work/log" >&2
    broken "$1"
  fi
}

has_rust=$([ -d "$(rustc --print sysroot 2>/dev/null)/lib/rustlib/wasm32-unknown-unknown" ] && echo yes)
[ -n "$has_rust" ] || echo "skip  rust: needs cargo and 'rustup target add wasm32-unknown-unknown'"
command -v go >/dev/null || echo "skip  go: needs Go 1.24 or newer"

if [ -n "$has_rust" ]; then
  cargo init --quiet --vcs none --lib --name fetch "$work/fetch" &&
    (cd "$work/fetch" && cargo add --quiet proxy-wasm@=0.1.4 && cargo vendor --quiet vendor >/dev/null) &&
    cp -r "$work/fetch/vendor/proxy-wasm" "$work/crate" && chmod -R u+w "$work/crate" && build_rust "$work/crate" rust-0.1.4 --examples
fi

for checkout in "$@"; do
  while IFS= read -r file; do
    folder=$(dirname "$file")
    case $file in
      */main.go) ! command -v go >/dev/null || build_go "$folder" ;;
      */Cargo.toml) [ -z "$has_rust" ] || ! grep -q cdylib "$file" || build_rust "$folder" "rust-$(basename "$folder")" ;;
      *) build_assemblyscript "$(dirname "$folder")" ;;
    esac
  done < <(find "$checkout" \( -name node_modules -o -name target -o -name e2e \) -prune -o \
    \( -name main.go -o -name Cargo.toml -o -path '*/assembly/index.ts' \) -print | grep /examples*/ | sort)
done
exit $failed
