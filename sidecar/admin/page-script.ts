// The script of the admin page (page.ts), as the browser runs it: an ES module without imports. It reads the JSON endpoints
// and builds the document with text nodes only, because paths, header values and plugins' texts come from strangers.
// What is open stays open when the page refreshes itself; nothing refreshes while the reader has unticked "live".

export const PAGE_SCRIPT = `
const get = async (path) => (await fetch(path)).json();
const byId = (id) => document.getElementById(id);
const el = (tag, className, ...children) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== undefined && child !== "").map((child) =>
    child instanceof Node ? child : document.createTextNode(String(child))));
  return node;
};
const hint = (node, text) => { node.title = text; return node; };
const show = (id, ...nodes) => byId(id).replaceChildren(...nodes);
const isOpen = new Set();
const details = (key, className, summary, ...children) => {
  const node = el("details", className, summary, ...children);
  node.open = isOpen.has(key);
  node.addEventListener("toggle", () => { if (node.open) isOpen.add(key); else isOpen.delete(key); });
  return node;
};
// A column whose name begins with # holds numbers.
const table = (names, rows) => {
  if (rows.length === 0) return el("p", "dim", "none");
  const kinds = names.map((name) => (name.startsWith("#") ? "num" : ""));
  const head = el("tr", "", ...names.map((name, i) => el("th", kinds[i], name.replace("#", ""))));
  return el("table", "", head, ...rows.map((cells) =>
    el("tr", "", ...cells.map((cell, i) => el("td", kinds[i], cell ?? "")))));
};
const address = (a) => (a?.socket_address
  ? (a.socket_address.address.includes(":") ? "[" + a.socket_address.address + "]" : a.socket_address.address) +
    ":" + (a.socket_address.port_value ?? 0)
  : (a?.pipe?.path ?? ""));
const ms = (value) => (value < 0.0995 ? Math.round(value * 1000) + " µs" : value.toFixed(value < 10 ? 2 : 1) + " ms");
const bytes = (value) => (value < 1048576 ? Math.round(value / 1024) + " KiB" : (value / 1048576).toFixed(1) + " MiB");
const many = (count, noun) => count + " " + noun + (count === 1 ? "" : "s");
const clock = (time) => new Date(time).toISOString().slice(11, 23);
const stat = (host, name) => host.stats.find((entry) => entry.name === name)?.value ?? "0";
const short = (typeUrl) => typeUrl.split(".").pop();

const place = (className, from, length, end) => {
  const part = el("div", "bar " + className);
  // What runs after the answer must not fall over the edge.
  part.style.left = "min(" + (Math.max(0, from) / end) * 100 + "%, 100% - 2px)";
  part.style.width = (Math.max(0, length) / end) * 100 + "%";
  return part;
};
const row = (name, className, bars, ...notes) =>
  el("div", "row", el("div", "cut " + className, name), el("div", "track", ...bars), el("div", "dim", notes.filter(Boolean).join(" · ")));
const headerNote = (h) => {
  const parts = [[h.headers_added, "+"], [h.headers_replaced, "~"], [h.headers_removed, "−"]];
  const text = parts.filter(([n]) => n).map(([n, sign]) => sign + n).join(" ");
  return text && text + " headers";
};
const hookRow = (h, end) => {
  const bars = [place(h.fault ? "bad" : "", h.start_ms, h.duration_ms, end)];
  if (h.paused_ms) bars.push(place("pause", h.start_ms + h.duration_ms, h.paused_ms, end));
  const line = row(h.plugin + " " + h.callback.replace("proxy_on_", ""), h.fault ? "bad" : "", bars,
    ms(h.duration_ms), headerNote(h), h.body_bytes !== undefined && h.body_bytes + " B body",
    h.action === "pause" && "paused " + ms(h.paused_ms ?? 0), h.answers_callout !== undefined && "answer of call " + (h.answers_callout + 1));
  hint(line, h.callback + ", context " + h.context_id + ", " + h.host_calls + " host calls" + (h.fuel === undefined ? "" : ", " + h.fuel + " fuel") +
    (h.action ? ", " + h.action : "") + (h.end_of_stream ? ", end of stream" : ""));
  return h.fault ? [line, el("pre", "bad", h.fault)] : [line];
};
const callRow = (c, i, end) => {
  const isBad = c.error || c.status >= 400 || c.status === 0;
  return row("↳ call " + (i + 1) + " to " + c.cluster, isBad ? "bad" : "", [place(isBad ? "bad" : "call", c.start_ms, c.duration_ms ?? end - c.start_ms, end)],
    c.duration_ms === undefined ? "not answered yet" : ms(c.duration_ms), c.status ? c.rpc + " " + c.status : "", c.error,
    c.method + " " + c.authority + c.path);
};
const waterfall = (t) => {
  const end = Math.max(t.duration_ms, 0.001);
  const rows = t.hooks.map((h, i) => ({ at: h.start_ms, nodes: [...hookRow(h, end),
    ...t.callouts.flatMap((c, n) => (c.by_hook === i ? [callRow(c, n, end)] : []))] }));
  t.callouts.forEach((c, n) => { if (c.by_hook < 0) rows.push({ at: c.start_ms, nodes: [callRow(c, n, end)] }); });
  if (t.upstream) {
    const first = t.upstream.first_byte_ms;
    const sent = t.upstream.sent_ms;
    rows.push({ at: sent, nodes: [row("upstream " + t.cluster, "", first === undefined
      ? [place("bad", sent, end - sent, end)]
      : [place("wait", sent, first - sent, end), place("up", first, end - first, end)],
    first === undefined ? "no answer" : "first byte after " + ms(first - sent), t.upstream_host)] });
  }
  rows.sort((a, b) => a.at - b.at);
  const facts = [new Date(t.started_at).toISOString(), "worker " + t.worker, t.route && "route " + t.route,
    t.cluster && "cluster " + t.cluster, t.upstream_host, t.response_details, t.response_flags && "flags " + t.response_flags,
    t.request_id && "x-request-id " + t.request_id, t.trace_id && "trace " + t.trace_id + (t.sampled ? " (sampled)" : " (not sampled)")];
  return el("div", "waterfall", ...rows.flatMap(({ nodes }) => nodes),
    t.hooks_dropped ? el("div", "warn", t.hooks_dropped + " more callbacks ran and were not kept") : "",
    el("div", "facts", facts.filter(Boolean).join(" · ")));
};
const request = (t, isOnly) => {
  const isBad = t.status >= 500 || t.status === 0;
  const hasFault = t.hooks.some((h) => h.fault);
  const inPlugins = t.hooks.reduce((sum, h) => sum + h.duration_ms, 0);
  const summary = el("summary", "",
    el("span", "dim mono wide", clock(t.started_at)),
    el("span", isBad ? "bad" : t.status >= 400 ? "warn" : "good", t.status || "—"),
    el("span", "cut", t.method + " " + t.authority + t.path),
    el("span", "cut wide " + (hasFault ? "bad" : "dim"), hasFault ? "plugin fault" :
      (t.cluster ? "→ " + t.cluster : t.response_details || "answered here") + (t.response_flags ? " " + t.response_flags : "") +
      (t.hooks.length > 0 ? " · plugins " + ms(inPlugins) : "")),
    el("span", "dim mono", ms(t.duration_ms)));
  const node = details("request " + t.worker + ":" + t.started_at + t.request_id, "request", summary, waterfall(t));
  if (isOnly) node.open = true;
  return node;
};

const sections = {
  async ready() {
    const response = await fetch("/ready");
    const [state, ...reasons] = (await response.text()).trim().split("\\n");
    const info = await get("/server_info");
    show("ready", el("span", "badge " + (response.ok ? "good" : "bad"), state), " ", el("span", "dim",
      [info.node?.id, info.version.split("/")[1], "up " + info.uptime_current_epoch,
        many(info.command_line_options?.concurrency ?? 1, "worker")].filter(Boolean).join(" · ")),
    ...reasons.map((reason) => el("div", "bad", reason)));
  },
  async traces() {
    const { traces } = await get("/traces?limit=200");
    const wanted = byId("filter").value.trim().toLowerCase();
    const onlyFaults = byId("faults").checked;
    const matches = traces.filter((t) => (!onlyFaults || t.status >= 500 || t.status === 0 || t.hooks.some((h) => h.fault)) &&
      (wanted === "" || [t.method, t.authority + t.path, t.status, t.cluster, t.route, t.request_id, t.trace_id,
        ...t.hooks.map((h) => h.plugin)].join(" ").toLowerCase().includes(wanted)));
    show("traces", ...(matches.length === 0 ? [el("p", "dim", traces.length === 0 ? "no requests yet" : "none matches")]
      : matches.slice(0, 50).map((t) => request(t, matches.length === 1))));
  },
  async plugins() {
    const { plugins } = await get("/plugins");
    show("plugins", table(["name", "state", "ABI", "#VMs", "#memory", "#calls", "#mean", "#faults", "last fault"], plugins.map((p) => {
      const sum = (field) => p.callbacks.reduce((total, c) => total + c[field], 0);
      const calls = sum("calls");
      const callbacks = table(["callback", "#calls", "#mean", "#p50", "#p99", "#faults"], p.callbacks.map((c) => [c.callback, c.calls, ms(c.mean_ms),
        c.p50_ms === undefined ? "" : ms(c.p50_ms), c.p99_ms === undefined ? "" : ms(c.p99_ms), c.faults ? el("span", "bad", c.faults) : 0]));
      const fault = p.last_fault;
      const name = calls > 0 ? details("plugin " + p.name + p.digest, "", hint(el("summary", "", p.name), p.source + " sha256:" + p.digest), callbacks) : p.name;
      return [name, el("span", p.state === "running" ? "good" : p.state === "loading" ? "warn" : "bad", p.state + (p.state_reason ? ": " + p.state_reason : "")),
        p.abi_version, p.vms, bytes(p.memory_bytes), calls, calls ? ms(sum("total_ms") / calls) : "",
        sum("faults") ? el("span", "bad", sum("faults")) : 0,
        fault ? details("fault " + p.name, "", el("summary", "bad", (fault.at ? clock(fault.at) + " " : "") + fault.callback + ": " + fault.kind),
          el("pre", "", [fault.message, ...fault.frames].join("\\n"))) : ""];
    })));
  },
  async listeners() {
    const { listener_statuses: list } = await get("/listeners?format=json");
    show("listeners", table(["name", "address"], list.map((l) =>
      [l.name, [l.local_address, ...(l.additional_local_addresses ?? [])].map(address).join(", ")])));
  },
  async clusters() {
    const { cluster_statuses: list } = await get("/clusters?format=json");
    show("clusters", table(["name", "host", "health", "#weight", "#requests", "#errors", "#active", "#connections"], list.flatMap((c) =>
      (c.host_statuses ?? []).length === 0 ? [[c.name, el("span", "bad", "no hosts"), "", "", "", "", "", ""]] :
      c.host_statuses.map((h, i) => {
        const failed = Object.keys(h.health_status).filter((key) => key !== "eds_health_status");
        const text = failed.length > 0 ? failed.join(" ") : (h.health_status.eds_health_status ?? "HEALTHY");
        const errors = stat(h, "rq_error");
        return [i === 0 ? c.name : "", address(h.address), el("span", text === "HEALTHY" ? "good" : "bad", text), h.weight,
          stat(h, "rq_total"), errors === "0" ? 0 : el("span", "bad", errors), stat(h, "rq_active"), stat(h, "cx_active")];
      }))));
  },
  async xds() {
    const { servers } = await get("/xds");
    const use = (r) => r.refused ? el("span", "bad", (r.refused.version ? r.refused.version + " refused: " : "refused: ") + r.refused.reason)
      : r.in_use_at ? hint(el("span", "good", "in use since " + clock(r.in_use_at)), (r.in_use_on_workers ?? []).map((at, i) => "worker " + i + ": " + at).join("\\n"))
      : (r.in_use_on_workers ?? []).some((at) => at !== "") ? el("span", "warn", "in use on " + r.in_use_on_workers.filter((at) => at !== "").length + " of " + r.in_use_on_workers.length + " workers")
      : r.acknowledged_at ? el("span", "warn", "acknowledged") : el("span", "dim", r.state.toLowerCase().replaceAll("_", " "));
    const from = (s) => el("p", "", s.server + " ", s.server === "static" ? "" : el("span", s.connected ? "good" : "bad", s.connected ? "connected" : "away"), " ",
      el("span", "dim", [s.control_plane, s.since && "since " + clock(s.since), s.last_error].filter(Boolean).join(" · ")));
    const rows = servers.flatMap((s) => s.types.flatMap((t) => [
      ...(t.refused ? [[short(t.type_url), el("span", "bad", "latest response"), t.refused.version, "", el("span", "bad", t.refused.reason)]] : []),
      ...t.resources.map((r) => [short(t.type_url), r.name, r.version, r.received_at ? clock(r.received_at) : "", use(r)])]));
    show("xds", ...servers.map(from), table(["type", "name", "version", "received", "state"], rows));
  },
};
const load = (id) => sections[id]().catch((error) => show(id, el("p", "bad", error.message)));
const refresh = () => Promise.all(Object.keys(sections).map(load));
// A link can carry a filter: /#<x-request-id> opens that request.
byId("filter").value = decodeURIComponent(location.hash.slice(1)) || byId("filter").value;
byId("filter").addEventListener("input", () => void load("traces"));
byId("faults").addEventListener("change", () => void load("traces"));
await refresh();
setInterval(() => { if (!document.hidden && byId("live").checked) void refresh(); }, 3000);
`;
