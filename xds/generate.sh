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
# Descriptors are read when they are asked for, not when their file is loaded (descriptors/lazy-file.ts).
find xds/gen -name '*_pb.ts' | while read -r file; do
  up=$(dirname "${file#xds/}" | sed 's|[^/]*|..|g')
  sed -i "s|^\(import {.*} from \)\"@bufbuild/protobuf/codegenv2\";|\1\"$up/descriptors/lazy-file.ts\";|" "$file"
done
