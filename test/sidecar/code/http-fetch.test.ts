import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { fetchBytes, type FetchRequest, type FetchResult } from "../../../sidecar/code/http-fetch.ts";
import { FakeRegistry, TEST_CA } from "../../support/fake-registry.ts";

const BODY = Buffer.from("the module");

function get(url: string, parts: Partial<FetchRequest> = {}): Promise<FetchResult> {
  return fetchBytes({
    url: new URL(url),
    headers: {},
    authorization: undefined,
    endpoint: undefined,
    maxBytes: 1_000,
    maxRedirects: 3,
    signal: AbortSignal.timeout(5_000),
    loopbackAllowed: true,
    ca: TEST_CA,
    ...parts,
  });
}

function textOf(result: FetchResult): string {
  return result.ok ? `${result.status} ${result.body.toString()}` : result.problem.replaceAll(/:\d{4,5}\b/g, ":PORT");
}

suite("fetchBytes()", () => {
  for (const scheme of ["http", "https"] as const) {
    test(`gets a body over ${scheme}`, async () => {
      await using server = await FakeRegistry.start(scheme);
      server.serve("/m.wasm", BODY);
      assert.equal(textOf(await get(`${server.origin}/m.wasm?a=b`)), "200 the module");
      assert.equal(server.seen[0]?.path, "/m.wasm?a=b");
    });
  }

  test("connects to the endpoint, with the URL's host as authority", async () => {
    await using server = await FakeRegistry.start();
    server.serve("/m.wasm", BODY);
    const endpoint = { host: "127.0.0.1", port: server.port };
    const result = await get("http://code.example/m.wasm", { endpoint, loopbackAllowed: false });
    assert.equal(textOf(result), "200 the module");
    assert.equal(server.seen[0]?.host, "code.example");
  });

  test("refuses a certificate of an authority that is not known", async () => {
    await using server = await FakeRegistry.start("https");
    assert.match(textOf(await get(`${server.origin}/`, { ca: undefined })), /self-signed certificate/);
  });

  test("follows redirects, and says the first URL's authorization to its own origin only", async () => {
    await using server = await FakeRegistry.start();
    await using other = await FakeRegistry.start();
    server.redirect("/a", "/b");
    server.redirect("/b", `${other.origin}/c`);
    other.redirect("/c", `${server.origin}/d`);
    server.serve("/d", BODY);
    assert.equal(textOf(await get(`${server.origin}/a`, { authorization: "Bearer secret" })), "200 the module");
    assert.deepEqual(
      server.seen.map(({ authorization }) => authorization),
      ["Bearer secret", "Bearer secret", "Bearer secret"],
    );
    assert.deepEqual(
      other.seen.map(({ authorization }) => authorization),
      [""],
    );
  });

  test("ends a redirect loop", async () => {
    await using server = await FakeRegistry.start();
    server.redirect("/a", "/a");
    assert.equal(textOf(await get(`${server.origin}/a`)), "GET http://localhost:PORT/a: more than 3 redirects");
    assert.equal(server.seen.length, 4);
  });

  const redirects: readonly [to: string, problem: RegExp][] = [
    ["http://169.254.169.254/latest/meta-data", /redirect there is refused: the address 169.254.169.254 is link-local/],
    ["http://[::ffff:169.254.169.254]/", /redirect there is refused/],
    ["http://2852039166/", /169.254.169.254 is link-local/],
    ["file:///etc/passwd", /a redirect to file:/],
    ["http://", /a redirect to no URL/],
  ];
  for (const [to, problem] of redirects) {
    test(`does not follow a redirect to ${to}`, async () => {
      await using server = await FakeRegistry.start();
      server.redirect("/a", to);
      assert.match(textOf(await get(`${server.origin}/a`)), problem);
    });
  }

  test("does not leave https by a redirect", async () => {
    await using server = await FakeRegistry.start("https");
    await using plain = await FakeRegistry.start();
    server.redirect("/a", `${plain.origin}/b?token=secret`);
    assert.equal(
      textOf(await get(`${server.origin}/a`)),
      "GET https://localhost:PORT/a: a redirect from https: to http://localhost:PORT/b, which is not encrypted",
    );
    assert.equal(plain.seen.length, 0);
  });

  for (const host of ["127.0.0.1", "localhost", "[::1]", "x.localhost"]) {
    test(`does not reach ${host} where loopback is not allowed`, async () => {
      await using server = await FakeRegistry.start();
      const result = await get(`http://${host}:${server.port}/a`, { loopbackAllowed: false });
      assert.match(textOf(result), /this machine's own/);
      assert.equal(server.seen.length, 0);
    });
  }

  test("refuses an answer that says it is too long, and one that turns out to be", async () => {
    await using server = await FakeRegistry.start();
    server.serve("/said", Buffer.alloc(1_001));
    server.on("/unsaid", (_, response) => {
      response.writeHead(200);
      response.write(Buffer.alloc(600));
      response.end(Buffer.alloc(600));
    });
    assert.match(textOf(await get(`${server.origin}/said`)), /1001 bytes, at most 1000 are allowed/);
    assert.match(textOf(await get(`${server.origin}/unsaid`)), /more than 1000 bytes/);
  });

  test("ends with its signal while a body trickles", async () => {
    await using server = await FakeRegistry.start();
    server.on("/slow", (_, response) => {
      response.writeHead(200);
      response.write("a");
    });
    assert.match(textOf(await get(`${server.origin}/slow`, { signal: AbortSignal.timeout(50) })), /no answer in time/);
  });

  test("says what kept it from connecting", async () => {
    await using server = await FakeRegistry.start();
    const { port } = server;
    await server[Symbol.asyncDispose]();
    assert.equal(
      textOf(await get(`http://127.0.0.1:${port}/a?secret=1`)),
      "GET http://127.0.0.1:PORT/a: the connection was refused",
    );
  });

  test("gives an answer that is none of 200 back as it came", async () => {
    await using server = await FakeRegistry.start();
    assert.equal(textOf(await get(`${server.origin}/none`)), "404 ");
  });
});
