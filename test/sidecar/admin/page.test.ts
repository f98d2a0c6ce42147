import assert from "node:assert/strict";
import { test } from "node:test";
import { adminPage } from "../../../sidecar/admin/page.ts";
import { ENDPOINTS } from "../../../sidecar/admin/endpoints.ts";
import type { AdminPorts } from "../../../sidecar/admin/ports.ts";
import { fakeProgram, TRACE } from "./fake-ports.ts";

/** As much of a document as the page's script uses. */
class FakeNode {
  readonly dataset: Record<string, string> = {};
  readonly style: Record<string, string> = {};
  readonly tag: string;
  className = "";
  title = "";
  value = "";
  checked = false;
  open = false;
  children: FakeNode[] = [];
  text = "";

  constructor(tag: string) {
    this.tag = tag;
  }

  append(...nodes: (FakeNode | string)[]): void {
    for (const node of nodes) {
      this.children.push(typeof node === "string" ? textNode(node) : node);
    }
  }

  replaceChildren(...nodes: (FakeNode | string)[]): void {
    this.children = [];
    this.append(...nodes);
  }

  addEventListener(): void {
    // Nobody clicks.
  }

  get all(): FakeNode[] {
    return [this, ...this.children.flatMap((child) => child.all)];
  }

  get words(): string {
    return this.text + this.children.map((child) => child.words).join("");
  }
}

function textNode(text: string): FakeNode {
  const node = new FakeNode("#text");
  node.text = text;
  return node;
}

/** Runs the script against the endpoints' real answers; an async function body stands for the module. */
async function runPage(overrides: Partial<AdminPorts> = {}, filter = ""): Promise<Record<string, FakeNode>> {
  const html = adminPage().body;
  const script = /<script type="module">([\s\S]*)<\/script>/.exec(html)?.[1] ?? "";
  const ids = Object.fromEntries([...html.matchAll(/ id="(\w+)"/g)].map(([, id]) => [id, new FakeNode("div")]));
  const program = fakeProgram(overrides);
  const fetch = async (url: string) => {
    const [path = "", query = ""] = url.split("?");
    const endpoint = ENDPOINTS.find((candidate) => candidate.path === path);
    assert.ok(endpoint !== undefined, url);
    const reply = await endpoint.answer(program, { query: new URLSearchParams(query) });
    return {
      ok: reply.status === 200,
      text: () => Promise.resolve(reply.body),
      json: () => Promise.resolve(JSON.parse(reply.body) as unknown),
    };
  };
  const globals = {
    document: {
      hidden: false,
      createElement: (tag: string) => new FakeNode(tag),
      createTextNode: textNode,
      getElementById: (id: string) => ids[id],
      querySelectorAll: () => [],
    },
    fetch,
    location: { hash: `#${encodeURIComponent(filter)}` },
    Node: FakeNode,
    setInterval: () => 0,
  };
  const run = new (Object.getPrototypeOf(runPage).constructor as new (
    ...args: string[]
  ) => (...args: unknown[]) => Promise<void>)(...Object.keys(globals), script);
  await run(...Object.values(globals));
  return ids;
}

function words(ids: Record<string, FakeNode>, id: string): string {
  return ids[id]?.words ?? "";
}

test("the page's script fills every section without a failure", async () => {
  const ids = await runPage();
  assert.match(words(ids, "ready"), /^LIVE n1 · 1\.0\.0 · up 3s · 2 workers$/);
  assert.match(words(ids, "listeners"), /in127\.0\.0\.1:9080, \[::1\]:9080/);
  assert.match(words(ids, "clusters"), /web10\.0\.0\.1:80HEALTHY14001/);
  assert.match(words(ids, "clusters"), /\[::1\]:81UNHEALTHY/);
  assert.match(words(ids, "plugins"), /running0\.2\.121\.0 MiB40\.25 ms0$/);
  assert.match(words(ids, "xds"), /cp connected/);
  assert.match(words(ids, "traces"), /200GET shop\/<script>alert\("x"\)<\/script>→ web · plugins 2\.00 ms10\.0 ms/);
});

test("the page draws each callback, call and the upstream at its place in the request", async () => {
  const { traces } = await runPage();
  const bars = traces?.all.filter((node) => node.className.startsWith("bar")) ?? [];
  assert.deepEqual(
    bars.map((bar) => [bar.className, bar.style["left"], bar.style["width"]]),
    [
      ["bar ", "min(10%, 100% - 2px)", "20%"],
      ["bar pause", "min(30%, 100% - 2px)", "30%"],
      ["bar bad", "min(20%, 100% - 2px)", "30%"],
      ["bar wait", "min(60%, 100% - 2px)", "20%"],
      ["bar up", "min(80%, 100% - 2px)", "20%"],
    ],
  );
});

test("the page says in words what a callback did", async () => {
  const ids = await runPage();
  assert.match(words(ids, "traces"), /p request_headers2\.00 ms · \+2 headers · paused 3\.00 ms/);
  assert.match(words(ids, "traces"), /↳ call 1 to authz3\.00 ms · http 403 · POST authz\.example\/check\?<b>"/);
  const [hook] = TRACE.hooks;
  assert.ok(hook !== undefined);
  const fault = "trap: unreachable <img src=x>";
  const failed = { ...TRACE, status: 503, callouts: [], hooks: [{ ...hook, fault }] };
  const bad = await runPage({ traces: () => [failed] });
  assert.match(words(bad, "traces"), /plugin fault/);
  const [text] = bad["traces"]?.all.filter((node) => node.tag === "pre") ?? [];
  assert.equal(text?.words, fault);
});

test("the page shows only the requests that the reader asks for", async () => {
  const traces = (): (typeof TRACE)[] => [TRACE, { ...TRACE, path: "/other" }];
  const other = await runPage({ traces }, "OTHER");
  assert.match(words(other, "traces"), /\/other/);
  assert.equal(other["traces"]?.children[0]?.open, true);
  assert.doesNotMatch(words(await runPage({ traces }, "OTHER"), "traces"), /script/);
  assert.equal(words(await runPage({ traces }, "nowhere"), "traces"), "none matches");
  assert.equal(words(await runPage({ traces: () => [] }), "traces"), "no requests yet");
});

test("the page says where configuration is in use and why it was refused", async () => {
  const at = "2026-11-25T03:51:46.598Z";
  const common = { version: "7", state: "ACKED", receivedAt: at, acknowledgedAt: at };
  const refused = { version: "8", at, reason: "no <port>" };
  const xds = (): ReturnType<AdminPorts["xds"]> => [
    {
      server: "ads 127.0.0.1:18000",
      connected: false,
      lastError: "connection refused",
      types: [
        {
          typeUrl: "type.googleapis.com/envoy.config.listener.v3.Listener",
          version: "8",
          nonce: "n",
          refused,
          resources: [
            { ...common, name: "a", inUseAt: at, inUseOnWorkers: [at, at] },
            { ...common, name: "b", inUseOnWorkers: [at, ""] },
            { ...common, name: "c", refused },
          ],
        },
      ],
    },
  ];
  const text = words(await runPage({ xds }), "xds");
  assert.match(text, /ads 127\.0\.0\.1:18000 away connection refused/);
  assert.match(text, /Listenerlatest response8no <port>/);
  assert.match(text, /Listenera703:51:46\.598in use since 03:51:46\.598/);
  assert.match(text, /Listenerb703:51:46\.598in use on 1 of 2 workers/);
  assert.match(text, /Listenerc703:51:46\.5988 refused: no <port>/);
});
