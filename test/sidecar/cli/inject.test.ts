// The verb `inject`: files in and out, explanations, and what is said when something is wrong.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { INJECT } from "../../../sidecar/cli/pod/inject.ts";
import { Launched, folderWith } from "../../support/launcher.ts";
import { printed, type Printed } from "../../support/cli-printer.ts";

const POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: b}]}\n";
const HOST =
  "apiVersion: v1\nkind: Pod\nmetadata: {name: h}\nspec: {hostNetwork: true, containers: [{name: a, image: b}]}\n";

async function inject(...argv: readonly string[]): Promise<Printed & { readonly code: number }> {
  const io = printed();
  return { ...io, code: await INJECT.run(argv, io.io) };
}

suite("outrigger inject", () => {
  test("joins files into one, and says on stderr which pods it left alone", async (t) => {
    const folder = folderWith(t, { "one.yaml": POD, "two.yaml": HOST });
    const { code, out, err } = await inject("-f", join(folder, "one.yaml"), "-f", join(folder, "two.yaml"));
    assert.equal(code, 0);
    assert.match(out(), /outrigger-proxy[\s\S]*\n---\napiVersion: v1\nkind: Pod\nmetadata: \{name: h\}/);
    assert.equal(err().split("\n").length, 2);
    assert.match(err(), /^default\/Pod h: left alone: it uses the node's network/);
  });

  test("--explain says it of every object instead, and --namespace is of those without one", async (t) => {
    const folder = folderWith(t, {
      "all.yaml": `${POD}---\n${HOST}---\nkind: Service\nmetadata: {name: s, namespace: other}\n`,
    });
    const { code, out, err } = await inject("--explain", "-f", join(folder, "all.yaml"), "-n", "shop");
    assert.equal(code, 0);
    assert.equal(err(), "");
    assert.match(out(), /^shop\/Pod p: injected, because the policy is enabled\n {2}- a native sidecar/);
    assert.match(out(), /\nshop\/Pod h: left alone: /);
    assert.match(out(), /\nother\/Service s: left alone: a Service makes no pods\n$/);
  });

  test("-o writes a file", async (t) => {
    const folder = folderWith(t, { "one.yaml": POD });
    const { code, out } = await inject(
      "-f",
      join(folder, "one.yaml"),
      "-o",
      join(folder, "out.yaml"),
      "--image",
      "here:1",
    );
    assert.deepEqual([code, out()], [0, ""]);
    assert.match(readFileSync(join(folder, "out.yaml"), "utf8"), /image: here:1/);
    assert.equal((await inject("-f", join(folder, "one.yaml"), "-o", join(folder, "no/such/out.yaml"))).code, 1);
  });

  test("nothing is printed when one of the files is wrong, and all problems are", async (t) => {
    const folder = folderWith(t, {
      "bad.yaml": "a: b\n  c: d\n",
      "odd.yaml": POD.replace("name: p", "name: p, annotations: {sidecar.istio.io/proxyCPU: x}"),
    });
    const { code, out, err } = await inject(
      "-f",
      join(folder, "bad.yaml"),
      "-f",
      join(folder, "odd.yaml"),
      "-f",
      join(folder, "none.yaml"),
    );
    assert.deepEqual([code, out()], [1, ""]);
    assert.match(err(), /bad\.yaml:\d+:\d+: /);
    assert.match(err(), /odd\.yaml:1:1: Pod p: annotation sidecar\.istio\.io\/proxyCPU: got "x"/);
    assert.match(err(), /none\.yaml: cannot be read: the file does not exist/);
  });

  const wrong: readonly { argv: readonly string[]; says: RegExp }[] = [
    { argv: [], says: /needs a file/ },
    { argv: ["-f", "x", "extra"], says: /unexpected argument "extra": a file comes after -f/ },
    { argv: ["-f", "x", "--imag", "y"], says: /did you mean --image\?/ },
    { argv: ["-f", "x", "--control-plane", "nowhere"], says: /--control-plane got "nowhere": must be host:port/ },
    { argv: ["-f", "x", "--exclude-inbound-ports", "1,x"], says: /must be ports, comma-separated/ },
    { argv: ["-f", "x", "--interception-mode", "MAGIC"], says: /must be one of REDIRECT, TPROXY, NONE/ },
  ];
  for (const { argv, says } of wrong) {
    test(`wrong usage: ${argv.join(" ")}`, async () => {
      const { code, err } = await inject(...argv);
      assert.equal(code, 2);
      assert.match(err(), says);
    });
  }

  test("what is no object is a problem, and no object at all is told", async (t) => {
    const folder = folderWith(t, {
      "text.yaml": "hello",
      "empty.yaml": "# nothing\n",
      "twice.yaml": "image: a\nimage: b\n",
    });
    const text = await inject("-f", join(folder, "text.yaml"));
    assert.deepEqual([text.code, text.out()], [1, ""]);
    assert.match(text.err(), /text\.yaml:1:1: this is no Kubernetes object/);
    const empty = await inject("-f", join(folder, "empty.yaml"));
    assert.equal(empty.code, 0);
    assert.match(empty.err(), /empty\.yaml: there is no object in it/);
    const twice = await inject("-f", join(folder, "empty.yaml"), "--settings", join(folder, "twice.yaml"));
    assert.equal(twice.code, 1);
    assert.match(twice.err(), /twice\.yaml:2: Map keys must be unique/);
  });

  test("a settings file has the flags' names, and a flag wins over it", async (t) => {
    const folder = folderWith(t, {
      "one.yaml": POD,
      "settings.yaml": "image: of-file:1\nnative-sidecar: false\nimage-pull-secret: [one, two]\nproxy-concurrency: 3\n",
      "bad.yaml": "native-sidecar: maybe\n",
    });
    const settings = ["--settings", join(folder, "settings.yaml")];
    const { out } = await inject("-f", join(folder, "one.yaml"), ...settings, "--native-sidecar");
    assert.match(out(), /image: of-file:1/);
    assert.match(out(), /restartPolicy: Always/);
    assert.match(
      out(),
      /imagePullSecrets: *\[\{name: one\}, \{name: two\}\]|imagePullSecrets:\n *- name: one\n *- name: two/,
    );
    assert.match(out(), /--concurrency, "3"|--concurrency\n *- "3"/);
    const bad = await inject("-f", join(folder, "one.yaml"), "--settings", join(folder, "bad.yaml"));
    assert.equal(bad.code, 1);
    assert.match(bad.err(), /bad\.yaml: native-sidecar got "maybe": must be true or false/);
  });

  test("- is standard input, in a pipe", async (t) => {
    const child = spawn(join(import.meta.dirname, "../../../outrigger"), ["inject", "-f", "-"], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    const launched = new Launched(child);
    t.after(() => launched.end("SIGKILL"));
    child.stdin.end(POD);
    assert.deepEqual(await launched.untilEnded(), { code: 0, signal: null });
    assert.ok(launched.stdout.all.some((line) => line.includes("outrigger-proxy")));
  });
});
