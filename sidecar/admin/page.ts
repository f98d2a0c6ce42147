// GET /: one page for people, without a build step or anything from elsewhere. The script reads the JSON endpoints and
// builds the document with textContent only, because paths, header values and plugin texts come from strangers.
// The content security policy names the script's and the style's hashes and allows nothing else.

import { createHash } from "node:crypto";
import { htmlReply } from "./reply.ts";
import type { AdminReply } from "./reply.ts";

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --bar: #2a7de1; --bad: #d33; --good: #2a9d4a; --dim: #888; }
body { font: 14px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem; }
h1 { font-size: 1.3rem; margin: 0 0 .2rem; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; }
td, th { padding: .2rem .6rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
.dim { color: var(--dim); } .bad { color: var(--bad); } .good { color: var(--good); } code { font-size: .9em; }
details { border-bottom: 1px solid var(--line); padding: .25rem 0; } summary { cursor: pointer; overflow-wrap: anywhere; }
.row { display: grid; grid-template-columns: 22rem 1fr 6rem; gap: .6rem; align-items: center; padding: .1rem 0; }
.track { position: relative; height: .8rem; background: #8882; border-radius: 2px; overflow: hidden; }
.bar { position: absolute; top: 0; bottom: 0; min-width: 2px; background: var(--bar); } .bar.bad { background: var(--bad); }
.bar.pause { background: var(--bar); opacity: .3; } nav a { margin-right: .8rem; }
@media (max-width: 40rem) { .row { grid-template-columns: 1fr; } }
`;

const SCRIPT = `
const get = async (path) => (await fetch(path)).json();
const el = (tag, className, ...children) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.map((child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
  return node;
};
const table = (names, rows) => {
  if (rows.length === 0) return el("p", "dim", "none");
  const head = el("tr", "", ...names.map((name) => el("th", "", name)));
  return el("table", "", head, ...rows.map((cells) => el("tr", "", ...cells.map((cell) => el("td", "", cell ?? "")))));
};
const show = (id, ...nodes) => document.getElementById(id).replaceChildren(...nodes);
const address = (a) => (a?.socket_address ? a.socket_address.address + ":" + (a.socket_address.port_value ?? 0) : (a?.pipe?.path ?? ""));
const ms = (value) => value.toFixed(value < 1 ? 3 : 1) + " ms";
const stat = (host, name) => host.stats.find((entry) => entry.name === name)?.value ?? "0";
const sections = {
  async ready() {
    const response = await fetch("/ready");
    const [state, ...reasons] = (await response.text()).trim().split("\\n");
    const info = await get("/server_info");
    show("ready", el("span", response.ok ? "good" : "bad", state), " ", el("span", "dim",
      [info.node?.id, info.version, "up " + info.uptime_current_epoch].filter(Boolean).join(" · ")),
      ...reasons.map((reason) => el("div", "bad", reason)));
  },
  async listeners() {
    const { listener_statuses: list } = await get("/listeners?format=json");
    show("listeners", table(["name", "address"], list.map((l) =>
      [l.name, [l.local_address, ...(l.additional_local_addresses ?? [])].map(address).join(", ")])));
  },
  async clusters() {
    const { cluster_statuses: list } = await get("/clusters?format=json");
    show("clusters", table(["name", "host", "health", "requests", "errors", "active"], list.flatMap((c) =>
      (c.host_statuses ?? []).length === 0 ? [[c.name, el("span", "bad", "no hosts"), "", "", "", ""]] :
      c.host_statuses.map((h) => {
        const health = Object.keys(h.health_status).filter((key) => key !== "eds_health_status");
        const text = health.length > 0 ? health.join(" ") : (h.health_status.eds_health_status ?? "HEALTHY");
        return [c.name, address(h.address), el("span", text === "HEALTHY" ? "good" : "bad", text),
          stat(h, "rq_total"), stat(h, "rq_error"), stat(h, "rq_active")];
      }))));
  },
  async plugins() {
    const { plugins } = await get("/plugins");
    show("plugins", table(["name", "state", "ABI", "VMs", "memory", "calls", "mean", "faults", "last fault"], plugins.map((p) => {
      const calls = p.callbacks.reduce((sum, c) => sum + c.calls, 0);
      const time = p.callbacks.reduce((sum, c) => sum + c.total_ms, 0);
      const faults = p.callbacks.reduce((sum, c) => sum + c.faults, 0);
      return [p.name, el("span", p.state === "running" ? "good" : "bad", p.state + (p.state_reason ? ": " + p.state_reason : "")),
        p.abi_version, p.vms, (p.memory_bytes / 1048576).toFixed(1) + " MiB", calls, calls ? ms(time / calls) : "", faults,
        p.last_fault ? p.last_fault.callback + ": " + p.last_fault.kind + ": " + p.last_fault.message : ""];
    })));
  },
  async xds() {
    const { servers } = await get("/xds");
    const rows = servers.flatMap((s) => s.types.flatMap((t) => t.resources.map((r) =>
      [t.type_url.split(".").pop(), r.name, r.version, r.in_use_at ? el("span", "good", "in use since " + r.in_use_at) :
        (r.acknowledged_at ? "acknowledged" : ""), r.refused ? el("span", "bad", r.refused.version + ": " + r.refused.reason) : ""])));
    show("xds", ...servers.map((s) => el("p", "", s.server + " ", el("span", s.connected ? "good" : "bad",
      s.connected ? "connected" : "away"), " ", el("span", "dim", s.last_error ?? ""))),
      table(["type", "name", "version", "use", "refused"], rows));
  },
  async traces() {
    const open = new Set([...document.querySelectorAll("#traces details[open]")].map((node) => node.dataset.key));
    const { traces } = await get("/traces?limit=30");
    show("traces", ...(traces.length === 0 ? [el("p", "dim", "no requests yet")] : traces.map((t) => {
      const node = el("details", "", el("summary", "", el("span", t.status >= 500 || t.status === 0 ? "bad" : "", t.status || "—"), " ",
        t.method + " " + t.authority + t.path, " ", el("span", "dim", ms(t.duration_ms) + " → " + (t.cluster || "nobody") + (t.response_flags ? " " + t.response_flags : ""))));
      node.dataset.key = t.worker + ":" + t.started_at;
      node.open = open.has(node.dataset.key);
      const end = Math.max(t.duration_ms, 0.001);
      for (const h of t.hooks) {
        const bar = (from, length, className) => {
          const part = el("div", "bar " + className);
          part.style.left = (from / end) * 100 + "%";
          part.style.width = (length / end) * 100 + "%";
          return part;
        };
        const track = el("div", "track", bar(h.start_ms, h.duration_ms, h.fault ? "bad" : ""));
        if (h.paused_ms) track.append(bar(h.start_ms + h.duration_ms, h.paused_ms, "pause"));
        node.append(el("div", "row", el("div", h.fault ? "bad" : "", h.plugin + " " + h.callback.replace("proxy_on_", "")), track,
          el("div", "dim", ms(h.duration_ms))));
        if (h.fault) node.append(el("div", "bad", h.fault));
      }
      node.append(el("div", "dim", [new Date(t.started_at).toISOString(), t.route && "route " + t.route, t.upstream_host,
        t.request_id, t.trace_id && "trace " + t.trace_id + (t.sampled ? " (sampled)" : "")].filter(Boolean).join(" · ")));
      return node;
    })));
  },
};
const refresh = async () => {
  await Promise.all(Object.entries(sections).map(([id, load]) => load().catch((error) => show(id, el("p", "bad", error.message)))));
};
await refresh();
setInterval(() => { if (!document.hidden) void refresh(); }, 3000);
`;

const HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>outrigger</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<h1>outrigger</h1>
<div id="ready">…</div>
<nav><a href="/help">help</a><a href="/config_dump">config</a><a href="/stats?usedonly">stats</a><a href="/stats/prometheus">prometheus</a><a href="/server_info">server</a></nav>
<h2>Latest requests</h2><div id="traces">…</div>
<h2>Plugins</h2><div id="plugins">…</div>
<h2>Listeners</h2><div id="listeners">…</div>
<h2>Clusters</h2><div id="clusters">…</div>
<h2>Control plane</h2><div id="xds">…</div>
<noscript>The same as text: <a href="/clusters">/clusters</a>, <a href="/plugins">/plugins</a>, <a href="/traces">/traces</a>.</noscript>
<script type="module">${SCRIPT}</script>
</body>
</html>
`;

const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
// Positions of bars are set by the script through the style object, which the policy allows.
const POLICY = [
  "default-src 'none'",
  `script-src ${hash(SCRIPT)}`,
  `style-src ${hash(STYLE)}`,
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

export function adminPage(): AdminReply {
  return htmlReply(HTML, POLICY);
}
