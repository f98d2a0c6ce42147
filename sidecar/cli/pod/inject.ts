// What the verb `inject` does: files of Kubernetes objects in, the same with sidecars out. cli/inject.ts loads it.
// Exit codes: 0 done (also when every pod was left alone), 1 a file that cannot be read or injected, with every problem, 2 wrong usage.

import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { explain } from "../../inject/explain.ts";
import { injectManifest } from "../../inject/manifest.ts";
import { describeFlags, type Flag } from "../flags.ts";
import { writeOutput } from "../output-file.ts";
import { type CliIo, type VerbAction, wrongUsage } from "../verb.ts";
import { parseSettings, refuseSettings, SETTING_FLAGS, SETTING_FLAGS_HELP } from "./inject-flags.ts";
import { readProblem } from "../../../xds/decode/file-problem.ts";

const FLAGS: readonly Flag[] = [
  {
    name: "filename",
    short: "f",
    kind: "string",
    value: "FILE",
    repeats: true,
    help: "YAML or JSON, several documents in one file; - is standard input",
  },
  {
    name: "output",
    short: "o",
    kind: "string",
    value: "FILE",
    defaultText: "standard output",
    help: "where the result goes",
  },
  {
    name: "namespace",
    short: "n",
    kind: "string",
    value: "NAME",
    defaultText: "default",
    help: "of objects that do not say theirs",
  },
  { name: "explain", kind: "boolean", help: "print what would happen to each object and why, instead of the objects" },
];

export const INJECT: VerbAction = {
  words: { flags: [...FLAGS, ...SETTING_FLAGS] },
  help: () => `outrigger inject -f FILE

Adds the sidecar to everything that makes pods: Pods, Deployments, StatefulSets, DaemonSets, ReplicaSets, Jobs,
CronJobs, PodTemplates, also inside Lists. The rest stays as it is, with its comments. Injecting twice changes
nothing; with other settings a sidecar is brought up to them. Annotations of a pod change the settings for it, by
Istio's names.

  outrigger inject -f app.yaml | kubectl apply -f -

Flags:
${describeFlags(FLAGS)}
Settings, which "webhook" has too:
${SETTING_FLAGS_HELP}`,
  run,
};

async function run(argv: readonly string[], io: CliIo): Promise<number> {
  const parsed = parseSettings(FLAGS, argv);
  if (!parsed.ok) {
    return refuseSettings(io, "inject", parsed);
  }
  const files = parsed.lists["filename"] ?? [];
  if (files.length === 0) {
    return wrongUsage(io, "inject", "needs a file: -f FILE, or -f - for standard input");
  }
  const namespace = String(parsed.values["namespace"] ?? "default");
  const texts: string[] = [];
  const notes: string[] = [];
  const problems: string[] = [];
  for (const file of files) {
    const name = file === "-" ? "stdin" : file;
    const read = await readText(file);
    if (!read.ok) {
      problems.push(`${name}: ${read.problem}`);
      continue;
    }
    const injected = injectManifest({ name, text: read.text, namespace }, parsed.settings);
    problems.push(...injected.problems);
    if (injected.outcomes.length === 0 && injected.problems.length === 0) {
      notes.push(`${name}: there is no object in it\n`);
    }
    texts.push(texts.length > 0 ? withMarker(injected.text) : injected.text);
    for (const outcome of injected.outcomes) {
      if (parsed.values["explain"] === true || outcome.injection?.kind === "skipped" || outcome.kind === "") {
        notes.push(explain(outcome));
      }
    }
  }
  if (parsed.values["explain"] === true) {
    io.out(notes.join(""));
  }
  if (problems.length > 0) {
    io.err(problems.map((problem) => `${problem}\n`).join(""));
    return 1;
  }
  if (parsed.values["explain"] === true) {
    return 0;
  }
  io.err(notes.join(""));
  return writeOutput("inject", texts.join(""), parsed.values["output"], io);
}

/** Files after the first are documents of their own. */
function withMarker(text: string): string {
  return /^\s*(?:#[^\n]*\n\s*)*---/.test(text) ? text : `---\n${text}`;
}

async function readText(file: string): Promise<{ ok: true; text: string } | { ok: false; problem: string }> {
  try {
    return { ok: true, text: file === "-" ? await readStandardInput() : await readFile(file, "utf8") };
  } catch (error) {
    return { ok: false, problem: readProblem(error) };
  }
}

async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of createReadStream("", { fd: 0, autoClose: false })) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}
