// A module's report as text for people; inspect.ts prints it. Names are those of the module, and may be anything: control
// characters are shown as escapes.

import type { CallbackReport, ImportReport, ModuleReport } from "../../../plugins/inspection/module-report.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
/** Longer lists are cut; --json has all. */
const MAX_ROWS = 100;
const LABEL_WIDTH = 13;

export function reportText(place: string, report: ModuleReport): string {
  const count = report.warnings.length;
  const verdict = report.loads
    ? `would load${count === 0 ? "" : `, with ${count} warning${count === 1 ? "" : "s"}`}`
    : "would not load";
  const lines = [
    `${place}: ${verdict}`,
    ...report.problems.map((problem) => row("problem", problem)),
    ...report.warnings.map((warning) => row("warning", warning)),
    row("size", `${bytesText(report.sizeBytes)}, ${report.functions} functions`),
    row("sha256", report.digest),
  ];
  if (report.sections.length > 0) {
    lines.push(...moduleLines(report));
  }
  return `${lines.map(printable).join("\n")}\n`;
}

function moduleLines(report: ModuleReport): string[] {
  const { toolchain, abi, start, allocator, abilities } = report;
  const custom = report.sections.filter(({ isCustom }) => isCustom);
  const can =
    abilities.length === 0
      ? "nothing but read and log"
      : `${abilities.join(", ")}${linksAll(report) ? SDK_LINKS_ALL : ""}`;
  return [
    row("language", [toolchain.language, toolchain.compiler].filter((part) => part !== undefined).join(", ")),
    ...(toolchain.sdk === undefined ? [] : [row("SDK", toolchain.sdk)]),
    row("ABI", abi ?? "none that is known"),
    row("starts with", start.length === 0 ? "nothing" : start.join(", ")),
    row("allocator", allocator ?? "none"),
    row("memory", memoryText(report)),
    ...report.tables.map(({ initialEntries, maximumEntries, limitEntries }) =>
      row(
        "table",
        `${initialEntries} entries, ${maximumText(maximumEntries?.toString())}, gets at most ${limitEntries}`,
      ),
    ),
    row("metering", meteringText(report)),
    row("pauses", pausingText(report)),
    row("can", can),
    ...(custom.length === 0
      ? []
      : [row("custom", custom.map(({ name, bytes }) => `${name} (${bytesText(bytes)})`).join(", "))]),
    ...listLines("callbacks", report.callbacks, callbackText),
    ...listLines("imports", report.imports, importText),
    ...listLines("other exports", report.exports, ({ name, type }) => [name, type]),
  ];
}

/** Longer lists say nothing: an SDK exports all of them. */
const MAX_HOLDERS = 4;

function pausingText({ pausing, pausesIn }: ModuleReport): string {
  const where = pausesIn.length > MAX_HOLDERS ? "" : `, in ${pausesIn.join(", ")}`;
  switch (pausing) {
    case "never":
      return "never: every callback that could answers continue";
    case "always":
      return `always: a callback answers pause whatever comes${where}`;
    case "may":
      return `maybe${where}: it cannot be told without running it`;
  }
}

const SDK_LINKS_ALL = " (its SDK links all of these, used or not)";

/** The Rust SDK's traits keep every host function alive. */
function linksAll({ toolchain, abilities }: ModuleReport): boolean {
  return toolchain.language === "rust" && abilities.length > 10;
}

function memoryText({ memory }: ModuleReport): string {
  if (memory === undefined) {
    return "none";
  }
  const maximum = memory.maximumBytes === undefined ? undefined : bytesText(memory.maximumBytes);
  return `starts with ${bytesText(memory.initialBytes)}, ${maximumText(maximum)}, gets at most ${bytesText(memory.limitBytes)}`;
}

function maximumText(maximum: string | undefined): string {
  return maximum === undefined ? "declares no maximum" : `declares at most ${maximum}`;
}

function meteringText({ metering }: ModuleReport): string {
  if (metering === undefined) {
    return "not tried: its code is not valid";
  }
  return metering.works
    ? `works, makes it ${bytesText(metering.sizeBytes)} (+${metering.growthPercent} %)`
    : `does not work: ${metering.problem} (it loads where the runtime keys outrigger.wasm.plugin.NAME.fuel_per_callback and .start_fuel are 0)`;
}

function callbackText({ name, type, isCalled, doesNothing, result, isOwn }: CallbackReport): [string, string] {
  const whose = isOwn === undefined || doesNothing ? "" : isOwn ? "the plugin's own" : "the SDK's default";
  const does = doesNothing ? `does nothing${result === undefined ? "" : `, answers ${result}`}` : "";
  return [name, [type, isCalled ? "" : "never called here", does, whose].filter((part) => part !== "").join("  ")];
}

const SUPPORT: Readonly<Record<ImportReport["support"], string>> = {
  implemented: "",
  refusing: "always answers an error",
  stubbed: "UNKNOWN: answers unimplemented",
  unlinkable: "UNKNOWN: the module does not load because of it",
};

function importText({ module, name, type, support }: ImportReport): [string, string] {
  const remark = SUPPORT[support];
  return [`${module}.${name}`, remark === "" ? type : `${type}  ${remark}`];
}

function listLines<T>(label: string, entries: readonly T[], text: (entry: T) => readonly [string, string]): string[] {
  const rows = entries.slice(0, MAX_ROWS).map(text);
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  const more = entries.length - rows.length;
  return [
    row(label, String(entries.length)),
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd()),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}

function row(label: string, text: string): string {
  return `${label.padEnd(LABEL_WIDTH)} ${text}`;
}

function bytesText(bytes: number): string {
  const short = (value: number): string => String(Math.round(value * 100) / 100);
  return bytes >= MIB ? `${short(bytes / MIB)} MiB` : bytes >= KIB ? `${short(bytes / KIB)} KiB` : `${bytes} bytes`;
}

/** A hostile name must not write to the terminal. */
function printable(line: string): string {
  return line.replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
