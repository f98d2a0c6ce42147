// What a TLS context comes to: its certificate and how it judges its peer, inline or by secret, read now. Called for each
// connection to a control plane, when a cluster or listener is taken in, and for /certs.

import type { SecretReference, TlsContext, ValidationContext } from "../model/tls.ts";
import { loadCertificate, loadValidation } from "./material.ts";
import type { Loaded, LoadedCertificate, LoadedSecret, LoadedValidation } from "./material.ts";
import { secretReferences } from "../references.ts";
import type { Environment } from "./read-data.ts";

export type TlsMaterial = Readonly<{
  certificate: LoadedCertificate | undefined;
  /** Undefined: any peer is taken, as Envoy does without a validation context. */
  validation: LoadedValidation | undefined;
}>;

/** Where secrets are looked up. */
export interface SecretLookup {
  get(name: string): LoadedSecret | undefined;
}

/** Not ok while a secret is missing, or something inline cannot be used. */
export function tlsMaterial(tls: TlsContext, secrets: SecretLookup, environment: Environment): Loaded<TlsMaterial> {
  const certificate = certificateOf(tls, secrets, environment);
  if (!certificate.ok) return certificate;
  const validation = validationOf(tls, secrets, environment);
  if (!validation.ok) return validation;
  return { ok: true, value: { certificate: certificate.value, validation: validation.value } };
}

function certificateOf(
  { certificates: [inline], certificateSecrets: [reference] }: TlsContext,
  secrets: SecretLookup,
  environment: Environment,
): Loaded<LoadedCertificate | undefined> {
  if (reference !== undefined) {
    const secret = secrets.get(reference.name);
    if (secret?.kind !== "tls_certificate") return missing(reference);
    return { ok: true, value: secret.certificate };
  }
  // Envoy takes an empty certificate for none.
  if (inline === undefined || (inline.certificateChain === undefined && inline.privateKey === undefined)) {
    return { ok: true, value: undefined };
  }
  return loadCertificate(inline, environment);
}

function validationOf(
  { validation, validationSecret }: TlsContext,
  secrets: SecretLookup,
  environment: Environment,
): Loaded<LoadedValidation | undefined> {
  const inline = validation === undefined ? undefined : loadValidation(validation, environment);
  if (inline?.ok === false || validationSecret === undefined) return inline ?? { ok: true, value: undefined };
  const secret = secrets.get(validationSecret.name);
  if (secret?.kind !== "validation_context") return missing(validationSecret);
  const merged = inline === undefined ? secret.validation : merge(inline.value, secret.validation);
  const { context, authoritiesPem } = merged;
  if (context.sanMatchers.length > 0 && authoritiesPem === undefined && !context.systemRoots) {
    return { ok: false, problem: "names are matched without trusted_ca, which proves nothing" };
  }
  return { ok: true, value: merged };
}

function missing({ name }: SecretReference): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem: `the secret ${JSON.stringify(name)} is not there yet` };
}

/** As Envoy merges the messages: what the secret sets counts, lists are joined. */
function merge(base: LoadedValidation, secret: LoadedValidation): LoadedValidation {
  const [a, b] = [base.context, secret.context];
  const context: ValidationContext = {
    trustedCa: b.trustedCa ?? a.trustedCa,
    systemRoots: a.systemRoots || b.systemRoots,
    crl: b.crl ?? a.crl,
    watchedDirectory: b.watchedDirectory,
    spkiHashes: [...a.spkiHashes, ...b.spkiHashes],
    certificateHashes: [...a.certificateHashes, ...b.certificateHashes],
    sanMatchers: [...a.sanMatchers, ...b.sanMatchers],
    allowExpired: a.allowExpired || b.allowExpired,
    acceptUntrusted: a.acceptUntrusted || b.acceptUntrusted,
    maxVerifyDepth: Math.min(a.maxVerifyDepth, b.maxVerifyDepth),
  };
  const own = secret.authoritiesPem === undefined ? base : secret;
  const { authoritiesPem, authorities } = own;
  return { context, authoritiesPem, authorities, crlPem: secret.crlPem ?? base.crlPem };
}

export interface StaticLookup extends SecretLookup {
  /** Why a static secret cannot be used; empty when it can, or is not there. */
  problemOf(name: string): string;
}

/**
 * What is wrong with a TLS context beyond what decoding sees: data that cannot be read or does not fit together, and
 * static secrets that are not there. `staticSecrets` are the bootstrap's; discovered ones may come later.
 */
export function contextProblem(
  tls: TlsContext,
  staticSecrets: StaticLookup,
  environment: Environment,
): string | undefined {
  for (const certificate of tls.certificates) {
    if (certificate.certificateChain === undefined && certificate.privateKey === undefined) continue;
    const loaded = loadCertificate(certificate, environment);
    if (!loaded.ok) return loaded.problem;
  }
  if (tls.validation !== undefined) {
    const loaded = loadValidation(tls.validation, environment);
    if (!loaded.ok) return loaded.problem;
  }
  for (const { name, kind, source } of secretReferences(tls)) {
    if (source !== undefined || staticSecrets.get(name)?.kind === kind) continue;
    const problem = staticSecrets.problemOf(name);
    return problem === "" ? `no static secret ${JSON.stringify(name)} is a ${kind}` : problem;
  }
  return undefined;
}
