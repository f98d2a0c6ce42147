// The verb `plugin new`: makes a folder with a small plugin, its build and its test, from plugins/templates/LANG and
// plugins/templates/common. What is there already is never touched.

import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describeFlags, type Flag, parseFlags } from "../flags.ts";
import { type CliIo, type Verb, wrongUsage } from "../verb.ts";
import { LANGUAGES, type Language, projectFiles } from "./project-files.ts";

const VERB = "plugin new";
const USAGE = `${VERB} NAME --lang ${LANGUAGES.join("|")}`;
const LAUNCHER = fileURLToPath(new URL("../../../outrigger", import.meta.url));

const FLAGS: readonly Flag[] = [
  { name: "lang", kind: "string", value: "LANG", allowed: LANGUAGES, help: `language: ${LANGUAGES.join(", ")}` },
  { name: "dir", kind: "string", value: "DIR", defaultText: "NAME", help: "folder to make" },
];

/** A name that is at once an npm package, a Go module, a Rust crate, a part of a header's name and a file. */
const NAME = /^[a-z](?:-?[a-z0-9])*$/;
const MAX_NAME_CHARS = 50;
/** Names that cargo, npm or Go refuse for a package, and those of packages that the plugin uses. */
const TAKEN: ReadonlySet<string> = new Set(
  `abstract alloc as async await become box break const continue core crate do dyn else enum extern false final fn for gen if
  impl in let log loop macro main match mod move mut node-modules override priv proc-macro proxy-wasm pub ref return self static
  std struct super test trait true try type typeof unsafe unsized use virtual where while yield
  assemblyscript cmd allocator-api2 equivalent foldhash hashbrown`.split(/\s+/),
);

export const pluginNewVerb: Verb = {
  name: "new",
  usage: USAGE,
  summary: "makes a folder with a small plugin that builds, and a test that passes",
  words: () => ({ flags: FLAGS }),
  help: () => `outrigger ${USAGE}

Makes the folder NAME with a plugin that sets a response header, a Makefile, a test in outrigger's plugin host and a
configuration that serves it. "make test" in it builds and tests. NAME: lower-case letters, digits and "-". A folder that
is there already is left alone.

Flags:
${describeFlags(FLAGS)}`,
  run: async (argv, io) => {
    const parsed = parseFlags(FLAGS, argv);
    if (!parsed.ok) {
      return wrongUsage(io, VERB, parsed.problem);
    }
    const { lang, dir } = parsed.values;
    const [name, extra] = parsed.positionals;
    if (name === undefined || extra !== undefined) {
      return wrongUsage(io, VERB, name === undefined ? "needs a name" : `unexpected argument "${extra}"`);
    }
    if (typeof lang !== "string") {
      return wrongUsage(io, VERB, `needs a language: --lang ${LANGUAGES.join("|")}`);
    }
    const problem = nameProblem(name);
    if (problem !== undefined) {
      return wrongUsage(io, VERB, problem);
    }
    return make(typeof dir === "string" ? dir : name, lang as Language, name, io);
  },
};

function nameProblem(name: string): string | undefined {
  if (!NAME.test(name) || name.length > MAX_NAME_CHARS) {
    return `"${name}" is no name: lower-case letters, digits and single "-" between them, at most ${MAX_NAME_CHARS}`;
  }
  return TAKEN.has(name)
    ? `"${name}" is no name: it is a word of the language or a package that the plugin uses`
    : undefined;
}

async function make(folder: string, language: Language, name: string, io: CliIo): Promise<number> {
  try {
    await mkdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    io.err(`outrigger ${VERB}: cannot make the folder "${folder}": ${FOLDER_PROBLEMS[code ?? ""] ?? code}\n`);
    return 1;
  }
  try {
    for (const [path, text] of projectFiles(language, { name, outrigger: LAUNCHER })) {
      const file = join(folder, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
    }
  } catch (error) {
    // Half a project is none.
    await rm(folder, { recursive: true, force: true });
    io.err(`outrigger ${VERB}: cannot write to "${resolve(folder)}": ${(error as Error).message}\n`);
    return 1;
  }
  io.out(`Made ${folder}, a plugin (${language}). Build and test it: cd ${folder} && make test\n`);
  return 0;
}

const FOLDER_PROBLEMS: Readonly<Record<string, string>> = {
  EEXIST: "it is there already",
  ENOENT: "the folder that it would be in is not there",
  ENOTDIR: "what it would be in is no folder",
  EACCES: "that is not permitted",
};
