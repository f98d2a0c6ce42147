#!/usr/local/bin/node
// `outrigger` in the image, for hooks of the kubelet (`exec: ["outrigger", "wait"]`): the program without a shell. The entry point is the
// same with the V8 flags of the launcher, which one line of this kind cannot have.
await import("../../sidecar/main.js");
