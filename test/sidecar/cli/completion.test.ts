// The verb `completion`: its scripts are asked in the shells themselves, bash always, zsh and fish where they are installed.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { findVerb, helpText } from "../../../sidecar/cli/verbs.ts";
import { printed } from "../../support/cli-printer.ts";

const folder = mkdtempSync(join(tmpdir(), "completion-"));
writeFileSync(join(folder, "boot strap.yaml"), "");
after(() => rmSync(folder, { recursive: true }));

const VERBS = Array.from(helpText().matchAll(/^ {2}([a-z][a-z-]*) /gm), ([, verb]) => verb ?? "");

async function run(...argv: readonly string[]) {
  const { io, out, err } = printed();
  const code = await findVerb("completion")?.run(argv, io);
  return { code, out: out(), err: err() };
}

function shell(program: string, args: readonly string[], input: string): string {
  const { status, stdout, stderr } = spawnSync(program, args, {
    input,
    cwd: folder,
    encoding: "utf8",
    timeout: 20_000,
  });
  assert.equal(status, 0, stderr);
  assert.equal(stderr, "");
  return stdout;
}

function missing(program: string): string | false {
  return spawnSync(program, ["--version"]).error === undefined ? false : `${program} is not installed`;
}

/** What is offered for the last word of each line. */
async function askBash(lines: readonly (readonly string[])[]): Promise<readonly (readonly string[])[]> {
  const { out: script } = await run("bash");
  const questions = lines.map((words) => {
    const quoted = words.map((word) => `'${word}'`).join(" ");
    return `COMP_WORDS=(outrigger ${quoted}); COMP_CWORD=${words.length}; _outrigger; (IFS='|'; echo "\${COMPREPLY[*]}")\n`;
  });
  const answers = shell("bash", ["--norc", "-u"], `${script}${questions.join("")}`);
  return answers
    .split("\n")
    .slice(0, -1)
    .map((line) => (line === "" ? [] : line.split("|")));
}

test("completion bash offers verbs, flags, values and files where each stands", async () => {
  const [verbs, begun, inner, flags, values, joined, begunValue, files, free, help, envoys, shells] = await askBash([
    [""],
    ["val"],
    ["plugin", ""],
    ["plugin", "bench", "--ro"],
    ["plugin", "new", "--lang", ""],
    ["plugin", "new", "--lang", "="],
    ["run", "--log-level", "=", "cr"],
    ["validate", "-c", "boot"],
    ["status", "--node", ""],
    ["help", "plugin", "b"],
    ["-c", "x", "--drain-st"],
    ["completion", ""],
  ]);
  assert.deepEqual(verbs?.toSorted(), VERBS.toSorted());
  assert.deepEqual(begun, ["validate"]);
  assert.deepEqual(inner, ["new", "run", "test", "bench", "inspect"]);
  assert.deepEqual(flags, ["--root-id", "--rounds", "--round-ms"]);
  assert.deepEqual(values, ["go", "rust", "assemblyscript", "cpp"]);
  assert.deepEqual(joined, values);
  assert.deepEqual(begunValue, ["critical"]);
  assert.deepEqual(files, ["boot strap.yaml"]);
  assert.deepEqual(free, []);
  assert.deepEqual(help, ["bench"]);
  assert.deepEqual(envoys, ["--drain-strategy"]);
  assert.deepEqual(shells, ["bash", "zsh", "fish"]);
});

test("completion bash offers every flag that help VERB shows", async () => {
  const lines: string[][] = [];
  const shown: string[][] = [];
  for (const name of VERBS.filter((each) => each !== "help")) {
    const verb = findVerb(name);
    const { verbs = [] } = (await verb?.words()) ?? {};
    for (const words of verbs.length === 0 ? [[]] : verbs.map((inner) => [inner.name])) {
      const text = (await verb?.help(words)) ?? "";
      lines.push([name, ...words, "--"]);
      shown.push(Array.from(text.matchAll(/^ {2}(?:-\S, | {4})(--[\w-]+)/gm), ([, flag]) => flag ?? ""));
    }
  }
  const offered = await askBash(lines);
  assert.ok(shown.flat().length > 150);
  for (const [i, flags] of shown.entries()) {
    assert.deepEqual(offered[i]?.toSorted(), [...flags, "--help"].toSorted(), lines[i]?.join(" ") ?? "");
  }
});

test("completion fish offers the same", { skip: missing("fish") }, async () => {
  const { out: script } = await run("fish");
  const ask = (line: string): string[] =>
    shell("fish", ["--no-config", "-c", `${script}\ncomplete -C ${JSON.stringify(line)}\n`], "")
      .split("\n")
      .map((row) => row.split("\t")[0] ?? "")
      .filter((word) => word !== "");
  assert.deepEqual(ask("outrigger ").toSorted(), VERBS.toSorted());
  assert.deepEqual(ask("outrigger plugin new --lang ").toSorted(), ["assemblyscript", "cpp", "go", "rust"]);
  assert.deepEqual(ask("outrigger plugin bench --round").toSorted(), ["--round-ms", "--rounds"]);
  assert.deepEqual(ask("outrigger -c x --drain-st"), ["--drain-strategy"]);
  assert.deepEqual(ask("outrigger validate -c boot"), ["boot strap.yaml"]);
});

test("completion zsh is understood by zsh", { skip: missing("zsh") }, async () => {
  const { out: script } = await run("zsh");
  // Its line editor needs a terminal; what the script asks of it does not.
  const stub = '_arguments() { print -l -- "$@" }; _describe() { print -l -- $words_here }; compdef() { }\n';
  const ask = (...words: string[]): string =>
    shell(
      "zsh",
      ["-f"],
      `${stub}${script}\nwords=(outrigger ${words.join(" ")} '') CURRENT=${words.length + 2}; _outrigger\n`,
    );
  assert.match(ask("plugin", "new"), /^--lang=\[.*\]:LANG:\(go rust assemblyscript cpp\)$/m);
  assert.match(ask("-c", "x"), /^--drain-strategy=\[.*\]:STRATEGY:\(gradual immediate\)$/m);
  assert.match(ask("validate"), /^\(--config-path -c\)-c\+\[Envoy v3 bootstrap, YAML or JSON\]:FILE:_files$/m);
});

test("completion names the shells that it knows", async () => {
  assert.deepEqual(await run("csh"), {
    code: 2,
    out: "",
    err: 'outrigger completion: unknown shell "csh": one of bash, zsh, fish\nTry "outrigger help completion".\n',
  });
  assert.equal((await run()).code, 2);
  assert.equal((await run("bash", "x")).code, 2);
});
