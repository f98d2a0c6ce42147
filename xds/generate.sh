#!/bin/sh
# Rebuilds xds/gen from xds/proto. Needs only the npm packages of this repository (buf and protoc-gen-es), no network.
# The generated code is committed and never edited. Run it after every change under xds/proto: `npm run gen`.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"
rm -rf xds/gen
buf generate xds/proto --template '{
  "version": "v2",
  "plugins": [{
    "local": "protoc-gen-es",
    "out": "xds/gen",
    "opt": ["target=ts", "import_extension=ts", "erasable_syntax=true"]
  }]
}'
