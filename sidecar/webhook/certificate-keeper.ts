// Keeps the webhook's certificates: takes what is stored, makes what is missing, renews what has two thirds of its life behind it, follows what
// another replica or cert-manager stored, and sees to it that the API server trusts them (the webhook configuration's caBundle).
//
//   refresh, every minute:  store.read ─▶ in order? ─no─▶ issue, store.write ─▶ onServing ─▶ trust.publish(caBundle)

import {
  expiryMs,
  fits,
  issueServing,
  type KeyedCertificate,
  makeAuthority,
  readCertificate,
  renewalTimeMs,
} from "./certificate.ts";
import type { CertificateStore, Stored, StoredCertificates } from "./certificate-store.ts";

export interface KeeperPorts {
  readonly store: CertificateStore;
  /** DNS names and addresses under which the webhook is called. */
  readonly names: readonly string[];
  readonly nowMs: () => number;
  /** A certificate to serve, at the start and whenever it is another one. */
  readonly onServing: (serving: KeyedCertificate) => void;
  /** Makes callers trust `caBundle` (PEM); called at each refresh, so it looks first whether there is anything to do. */
  readonly publishTrust: (caBundle: string) => Promise<void>;
  readonly onEvent: (event: KeeperEvent) => void;
}

export type KeeperEvent =
  | { readonly kind: "issued"; readonly why: string; readonly expires: string }
  | { readonly kind: "loaded"; readonly expires: string }
  | { readonly kind: "failed"; readonly step: "certificates" | "trust"; readonly problem: string };

const REFRESH_MS = 60_000;
const RETRY_MS = 5_000;
/** Of replicas that start together, at most so many can be faster. */
const MAX_RACES = 5;

export class CertificateKeeper {
  readonly #ports: KeeperPorts;
  #serving: KeyedCertificate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(ports: KeeperPorts) {
    this.#ports = ports;
  }

  /** When what is served ends, in ms since 1970; undefined: nothing is served yet. */
  get expiresAtMs(): number | undefined {
    return this.#serving === undefined ? undefined : expiryMs(this.#serving.certificate);
  }

  /** Refreshes now and from then on. Resolves after the first attempt, whether it went well or not. */
  async start(): Promise<void> {
    const isWell = await this.refresh();
    if (!this.#isStopped) {
      this.#timer = setTimeout(() => void this.start(), isWell ? REFRESH_MS : RETRY_MS);
    }
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** One round; false: something failed, which was reported. */
  async refresh(): Promise<boolean> {
    let caBundle: string;
    try {
      caBundle = await this.#settle();
    } catch (error) {
      this.#failed("certificates", error);
      return false;
    }
    try {
      await this.#ports.publishTrust(caBundle);
      return true;
    } catch (error) {
      this.#failed("trust", error);
      return false;
    }
  }

  /** Serves what is in order, makes it first where it is not; the authorities that callers must trust. */
  async #settle(): Promise<string> {
    const { store } = this.#ports;
    for (let race = 0; race < MAX_RACES; race++) {
      const stored = await store.read();
      const { certificates } = stored;
      const why = this.#whyNot(stored);
      if (why === undefined) {
        this.#serve(certificates);
        return certificates["ca.crt"];
      }
      const next = this.#renewed(certificates);
      if (await store.write(next, stored.version)) {
        const expires = new Date(expiryMs(next["tls.crt"])).toISOString();
        this.#ports.onEvent({ kind: "issued", why, expires });
        this.#serve(next);
        return next["ca.crt"];
      }
    }
    throw new Error(`another replica was faster ${MAX_RACES} times`);
  }

  /** Why new certificates are needed; undefined: they are not, or are not ours to make. */
  #whyNot({ certificates, version }: Stored): string | undefined {
    const { names, nowMs } = this.#ports;
    const serving = { certificate: certificates["tls.crt"], key: certificates["tls.key"] };
    if (version === undefined || serving.certificate === "") {
      return "none is stored";
    }
    if (certificates["ca.key"] === "") {
      if (readCertificate(serving.certificate) === undefined || serving.key === "") {
        throw new Error("what is stored has no ca.key, so others issue it, and its tls.crt or tls.key cannot be read");
      }
      return undefined;
    }
    if (!fits(serving, firstCertificate(certificates["ca.crt"]), names)) {
      return "what is stored does not fit (key, issuer or names)";
    }
    return nowMs() >= renewalTimeMs(serving.certificate) ? "two thirds of its life are over" : undefined;
  }

  /** The same authority as long as it outlives what it signs; then a new one, and the old one is trusted until it ends. */
  #renewed(old: StoredCertificates): StoredCertificates {
    const { names, nowMs } = this.#ports;
    const now = nowMs();
    const current = firstCertificate(old["ca.crt"]);
    let authority: KeyedCertificate = { certificate: current, key: old["ca.key"] };
    let bundle = old["ca.crt"];
    if (!fits(authority, current, []) || !(now < renewalTimeMs(current))) {
      authority = makeAuthority("outrigger webhook", now);
      bundle = authority.certificate + (expiryMs(current) > now ? current : "");
    }
    const serving = issueServing(authority, names, now);
    return { "ca.crt": bundle, "ca.key": authority.key, "tls.crt": serving.certificate, "tls.key": serving.key };
  }

  #serve(certificates: StoredCertificates): void {
    const serving = { certificate: certificates["tls.crt"], key: certificates["tls.key"] };
    if (this.#serving?.certificate === serving.certificate && this.#serving.key === serving.key) {
      return;
    }
    this.#ports.onServing(serving);
    this.#serving = serving;
    this.#ports.onEvent({ kind: "loaded", expires: new Date(expiryMs(serving.certificate)).toISOString() });
  }

  #failed(step: "certificates" | "trust", error: unknown): void {
    this.#ports.onEvent({ kind: "failed", step, problem: error instanceof Error ? error.message : String(error) });
  }
}

/** The first of several in one text. */
function firstCertificate(bundle: string): string {
  return /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n?/.exec(bundle)?.[0] ?? "";
}
