// The table of fields as Markdown: what stands in FIELDS.md. Called by test/xds/fields.test.ts, which keeps the file true.

import { EXTENSION_ROWS, FIELD_ROWS, type MessageRows } from "./fields.ts";

const INTRODUCTION = `# Configuration fields

Printed from \`field-rows/\` and kept true by \`test/xds/fields.test.ts\`; do not edit by hand.

A field is **supported**, or **accepted** without effect (a warning names it once), or **refused** with its path and the
reason. Fields inside an accepted or refused field, and fields that Envoy's API has and no section names, have no row of their own.
Extensions are known by their type. Besides the filters below there are the access loggers \`file\`, \`stdout\`, \`stderr\` and \`wasm\`, the
tracer \`opentelemetry\`, the transport sockets \`raw_buffer\` and \`tls\`.
`;

/** The whole text of FIELDS.md. */
export function fieldsMarkdown(): string {
  const sections = Object.entries(FIELD_ROWS).map(([title, messages]) => {
    const tables = Object.entries(messages).map(([name, rows]) => messageTable(name, rows));
    return `## ${title}\n\n${tables.join("\n")}`;
  });
  return `${INTRODUCTION}\n${extensions()}\n${sections.join("\n")}`;
}

function extensions(): string {
  const kinds = Object.entries(EXTENSION_ROWS).map(([title, { supported, accepted, refused }]) => {
    const others = Object.entries({ accepted, refused }).flatMap(([kind, rows]) =>
      Object.entries(rows).map(([type, reason]) => `- \`${type}\`: ${kind}; ${reason}`),
    );
    const first = supported.length === 0 ? "None is supported." : `Supported: ${code(supported)}`;
    return [`### ${title}`, "", first, "", ...others, ""].join("\n");
  });
  return `## Filters\n\n${kinds.join("\n")}`;
}

function messageTable(name: string, rows: MessageRows): string {
  const lines = [`### ${name}`, ""];
  if (rows.supported !== "") lines.push(`Supported: ${code(rows.supported.split(" "))}`, "");
  const others = (["accepted", "refused"] as const).flatMap((kind) =>
    Object.entries(rows[kind] ?? {}).map(([field, reason]) => `- \`${field}\`: ${kind}; ${reason}`),
  );
  if (others.length > 0) lines.push(...others, "");
  if (rows.supported === "" && others.length === 0) lines.push("Supported; it has no fields.", "");
  return lines.join("\n");
}

function code(fields: readonly string[]): string {
  return fields.map((field) => `\`${field}\``).join(", ");
}
