// Files and folders that a control plane follows: what counts, what a change is, and how Kubernetes swaps a folder.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { ServedFiles } from "../../../xds/server/served-files.ts";
import { CLUSTER_TYPE } from "../../../xds/type-urls.ts";
import { EventLog } from "../../support/events.ts";

const cluster = (name: string) => `- { "@type": ${CLUSTER_TYPE}, name: ${name}, connect_timeout: 1s, type: STATIC }\n`;

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "served-files-"));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

type Seen = Readonly<{ files: ServedFiles; changes: EventLog<string>; problems: EventLog<string> }>;

function follow(t: TestContext, ...paths: readonly string[]): Seen {
  const changes = new EventLog<string>();
  const problems = new EventLog<string>();
  const files = new ServedFiles({
    paths,
    onGroups: (groups) => changes.push(groups.flatMap((each) => each.resources.map(({ name }) => name)).join(" ")),
    onProblems: (all) => problems.push(all.join("\n")),
  });
  t.after(() => files.close());
  return { files, changes, problems };
}

test("ServedFiles reads a folder by name, and follows files that come, change and go", async (t) => {
  const folder = await folderOf(t);
  await writeFile(join(folder, "b.yaml"), cluster("b"));
  await writeFile(join(folder, "a.yml"), cluster("a"));
  await writeFile(join(folder, ".hidden.yaml"), "no: good");
  await writeFile(join(folder, "README.md"), "no good");
  const { files, changes, problems } = follow(t, folder);
  const first = files.open();
  assert.ok(first.ok);
  assert.deepEqual(
    first.groups.map(({ resources }) => resources[0]?.name),
    ["a", "b"],
  );
  await writeFile(join(folder, "c.json"), `[${cluster("c").slice(2)}]`);
  await changes.first("c", (names) => names === "a b c");
  await writeFile(join(folder, "b.yaml"), `${cluster("b2")}  bad`);
  assert.match(await problems.first("a problem", () => true), /b\.yaml:2:1: not valid YAML/);
  await writeFile(join(folder, "b.yaml"), cluster("b2"));
  await changes.first("b2", (names) => names === "a b2 c");
  await unlink(join(folder, "a.yml"));
  await changes.first("a gone", (names) => names === "b2 c");
  // Nothing at all is rather a mistake than a wish.
  await unlink(join(folder, "b.yaml"));
  await unlink(join(folder, "c.json"));
  await problems.first("an empty folder", (text) => text.includes("has no .yaml, .yml or .json file"));
  assert.equal(changes.all.at(-1)?.includes("c"), true);
});

test("ServedFiles follows a folder of Kubernetes, whose files are links that are swapped at once", async (t) => {
  const folder = await folderOf(t);
  const version = async (name: string, content: string) => {
    await mkdir(join(folder, `..${name}`));
    await writeFile(join(folder, `..${name}`, "mesh.yaml"), content);
    await symlink(`..${name}`, join(folder, "..data.new"));
    await rename(join(folder, "..data.new"), join(folder, "..data"));
  };
  await version("1", cluster("a"));
  await symlink("..data/mesh.yaml", join(folder, "mesh.yaml"));
  const { files, changes } = follow(t, folder);
  assert.ok(files.open().ok);
  await version("2", cluster("b"));
  await changes.first("b", (names) => names === "b");
});

test("ServedFiles reads several paths, and says which cannot be read", async (t) => {
  const folder = await folderOf(t);
  await writeFile(join(folder, "x.txt"), cluster("x"));
  await mkdir(join(folder, "more"));
  await writeFile(join(folder, "more", "y.yaml"), cluster("y"));
  const { files, changes } = follow(t, join(folder, "x.txt"), join(folder, "more"));
  assert.ok(files.open().ok);
  await writeFile(join(folder, "more", "y.yaml"), cluster("z"));
  await changes.first("z", (names) => names === "x z");
  const missing = follow(t, join(folder, "none")).files.open();
  assert.ok(!missing.ok && /none: cannot be read: the file does not exist/.test(missing.problems.join()));
  const empty = follow(t, await folderOf(t)).files.open();
  assert.ok(!empty.ok && /has no \.yaml, \.yml or \.json file/.test(empty.problems.join()));
});
