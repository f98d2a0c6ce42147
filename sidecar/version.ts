// The product's name and version, for --version, /server_info, the xDS user agent and spans.
// test/sidecar/version.test.ts keeps it equal to package.json.

export const VERSION = "0.1.0";
