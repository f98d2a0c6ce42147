import assert from "node:assert/strict";
import { test } from "node:test";
import { adminPage } from "../../../sidecar/admin/page.ts";
import { ENDPOINTS } from "../../../sidecar/admin/endpoints.ts";
import { fakeProgram } from "./fake-ports.ts";

/** As much of a document as the page's script uses. */
class FakeNode {
  readonly dataset: Record<string, string> = {};
  readonly style: Record<string, string> = {};
  readonly tag: string;
  className = "";
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
async function runPage(): Promise<Record<string, FakeNode>> {
  const html = adminPage().body;
  const script = /<script type="module">([\s\S]*)<\/script>/.exec(html)?.[1] ?? "";
  const ids = Object.fromEntries([...html.matchAll(/ id="(\w+)"/g)].map(([, id]) => [id, new FakeNode("div")]));
  const program = fakeProgram();
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
    Node: FakeNode,
    setInterval: () => 0,
  };
  const run = new (Object.getPrototypeOf(runPage).constructor as new (
    ...args: string[]
  ) => (...args: unknown[]) => Promise<void>)(...Object.keys(globals), script);
  await run(...Object.values(globals));
  return ids;
}

test("the page's script fills every section without a failure", async () => {
  const ids = await runPage();
  const words = Object.fromEntries(Object.entries(ids).map(([id, node]) => [id, node.words]));
  assert.match(words["ready"] ?? "", /^LIVE n1 · abc\/1\.0\.0.* · up 3s$/);
  assert.match(words["listeners"] ?? "", /in127\.0\.0\.1:9080, ::1:9080/);
  assert.match(words["clusters"] ?? "", /web10\.0\.0\.1:80HEALTHY4/);
  assert.match(words["clusters"] ?? "", /::1:81UNHEALTHY/);
  assert.match(words["plugins"] ?? "", /prunning0\.2\.121\.0 MiB40\.250 ms/);
  assert.match(words["xds"] ?? "", /cp connected/);
  assert.match(words["traces"] ?? "", /200 GET shop\/<script>alert\("x"\)<\/script>/);
});

test("the page draws a callback's place in its request, and its pause", async () => {
  const { traces } = await runPage();
  const bars = traces?.all.filter((node) => node.className.startsWith("bar")) ?? [];
  assert.deepEqual(
    bars.map((bar) => [bar.className, bar.style["left"], bar.style["width"]]),
    [
      ["bar ", "10%", "20%"],
      ["bar pause", "30%", "30%"],
    ],
  );
});
