#!/bin/sh
# install.sh ROOT PACKED LOCK: installs the packed npm file into ROOT/opt/outrigger as the image has it. The Dockerfile runs it with /,
# test/integration/image.test.ts with a folder. LOCK: package-lock.json, so that every package is the one that was tested.
# Needs node and npm on PATH; nothing of npm is left in ROOT.
set -eu
root=${1%/}
home=$root/opt/outrigger
mkdir -p "$home"
tar -xzf "$2" -C "$home" --strip-components=1
cp "$3" "$home/package-lock.json"
(cd "$home" && npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund --prefer-offline)
# Nothing reads these while it runs.
find "$home" -type f \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' \) -delete
rm "$home/package-lock.json"

# The compile cache, for the ways to start it (sidecar, control plane, hooks): V8's flags are part of what a cache is for.
export NODE_COMPILE_CACHE="$home/compile-cache" HOME=/nonexistent XDG_CACHE_HOME=/nonexistent
node --max-semi-space-size=1 --v8-pool-size=2 --disable-warning=ExperimentalWarning "$home/sidecar/main.js" warm-up
node --max-semi-space-size=8 --heap-growing-percent=60 --v8-pool-size=2 --disable-warning=ExperimentalWarning "$home/sidecar/main.js" control-plane --help >/dev/null
node "$home/deploy/image/outrigger.js" --version
# Node.js keeps one for each user: the sidecar's is the one that was filled here (with root, who sets a pod's rules).
for made in "$NODE_COMPILE_CACHE"/v*-"$(id -u)"; do
  for user in 0 1337; do
    [ "$user" = "$(id -u)" ] || ln -s "$(basename "$made")" "${made%-*}-$user"
  done
done
# Whoever runs it reads it, and nobody writes it.
chmod -R u=rwX,go=rX "$home"
chmod 755 "$home/deploy/image/outrigger.js"
