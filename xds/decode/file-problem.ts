// Why a file cannot be read, in words. Called by the loaders of configuration files.

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "the file does not exist",
  EACCES: "permission denied",
  EISDIR: "is a directory",
  ENOTDIR: "a part of the path is not a directory",
};

/** Of bytes that should be YAML or JSON: what is replaced silently would be another name or value. */
export const NOT_TEXT = "is no text in UTF-8, as YAML and JSON are; binary protobuf is read from files named .pb";

export function readProblem(error: unknown): string {
  if (!(error instanceof Error)) return `cannot be read: ${String(error)}`;
  const code = "code" in error ? String(error.code) : "";
  return `cannot be read: ${REASONS[code] ?? error.message}`;
}
