// Why a file cannot be read, in words. Called by the loaders of configuration files.

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "the file does not exist",
  EACCES: "permission denied",
  EISDIR: "is a directory",
  ENOTDIR: "a part of the path is not a directory",
};

export function readProblem(error: unknown): string {
  if (!(error instanceof Error)) return `cannot be read: ${String(error)}`;
  const code = "code" in error ? String(error.code) : "";
  return `cannot be read: ${REASONS[code] ?? error.message}`;
}
