// GET /: one page for people, without a build step or anything from elsewhere: readiness, the latest requests with a
// waterfall of their plugins' callbacks, plugins, listeners, clusters and what the control plane has sent.
// The content security policy names the script's and the style's hashes and allows nothing else.

import { createHash } from "node:crypto";
import { PAGE_SCRIPT } from "./page-script.ts";
import { PAGE_STYLE } from "./page-style.ts";
import { htmlReply } from "./reply.ts";
import type { AdminReply } from "./reply.ts";

const HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>outrigger</title>
<link rel="icon" href="data:,">
<style>${PAGE_STYLE}</style>
</head>
<body>
<header><h1>outrigger</h1><div id="ready">…</div>
<nav><a href="/help">help</a><a href="/config_dump">config</a><a href="/stats?usedonly">stats</a><a href="/stats/prometheus">prometheus</a><a href="/server_info">server</a></nav>
</header>
<main>
<h2>Latest requests</h2>
<div class="bar-tools"><input id="filter" type="search" placeholder="path, status, cluster, plugin, request or trace id" aria-label="filter requests">
<label><input id="faults" type="checkbox"> only failed</label><label><input id="live" type="checkbox" checked> live</label></div>
<div class="card" id="traces">…</div>
<h2>Plugins</h2><div class="card" id="plugins">…</div>
<h2>Listeners</h2><div class="card" id="listeners">…</div>
<h2>Clusters</h2><div class="card" id="clusters">…</div>
<h2>Control plane</h2><div class="card" id="xds">…</div>
<noscript>The same as text: <a href="/clusters">/clusters</a>, <a href="/plugins">/plugins</a>, <a href="/traces">/traces</a>.</noscript>
</main>
<script type="module">${PAGE_SCRIPT}</script>
</body>
</html>
`;

const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
// Positions of bars are set by the script through the style object, which the policy allows.
const POLICY = [
  "default-src 'none'",
  `script-src ${hash(PAGE_SCRIPT)}`,
  `style-src ${hash(PAGE_STYLE)}`,
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

export function adminPage(): AdminReply {
  return htmlReply(HTML, POLICY);
}
