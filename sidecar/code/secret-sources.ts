// Where pull secrets come from: files and the environment that settings name, and a plugin's own. Called by code-loader.ts and by
// the command line. Problems name the source and never quote it.

import { readFile } from "node:fs/promises";
import type { CodeSettings } from "./code-settings.ts";
import { parsePullSecrets, type PullSecrets, type RegistryCredentials } from "./pull-secrets.ts";

/** What Istio's control plane puts in a plugin's environment for its agent: the content of the image's pull secret. */
export const SECRET_VARIABLE = "ISTIO_META_WASM_IMAGE_PULL_SECRET";

/** The plugin's own (`own`, the JSON) before the environment's before the files'. What cannot be read is left out. */
export async function readPullSecrets(
  settings: CodeSettings,
  own: string | undefined,
  onProblem: (from: string, problem: string) => void,
): Promise<PullSecrets> {
  const texts: [from: string, text: string][] = [];
  for (const path of settings.secretFiles.toReversed()) {
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text !== undefined) {
      texts.push([path, text]);
    }
  }
  texts.push(["OUTRIGGER_PULL_SECRETS", settings.secretText], [SECRET_VARIABLE, own ?? ""]);
  const secrets = new Map<string, RegistryCredentials>();
  for (const [from, text] of texts) {
    const parsed = text === "" ? undefined : parsePullSecrets(text);
    if (parsed?.ok === false) {
      onProblem(from, parsed.problem);
    } else if (parsed !== undefined) {
      parsed.secrets.forEach((credentials, registry) => secrets.set(registry, credentials));
    }
  }
  return secrets;
}
