// TLS to a server over a connected socket: sends what a TLS context says, and gives the connection out only when the peer
// is good. Called by ads-stream.ts; loads node:tls, which a sidecar without such a control plane does not need.

import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { Socket } from "node:net";
import { connect, createSecureContext, rootCertificates } from "node:tls";
import type { SecureContext, TLSSocket } from "node:tls";
import type { UpstreamTls } from "../model/tls.ts";
import { peerProblem } from "./peer-check.ts";
import type { TlsMaterial } from "./tls-material.ts";
import { tlsProblem } from "./tls-problem.ts";

export type TlsDial = Readonly<{
  tls: UpstreamTls;
  material: TlsMaterial;
  /** The name that is sent and, with auto_sni_san_validation, demanded; empty sends none. */
  serverName: string;
  /** Used where the context names none. */
  alpn: readonly string[];
}>;

/** Suites of TLS 1.3 cannot be chosen by configuration. */
const TLS13_SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/** Rejects with an error for people. The socket is the caller's to destroy then. */
export function handshake(socket: Socket, dial: TlsDial): Promise<TLSSocket> {
  const { tls, serverName, alpn } = dial;
  return new Promise((resolve, reject) => {
    // A name only: an address is not sent as a server name (RFC 6066).
    const servername = serverName !== "" && isIP(serverName) === 0 ? { servername: serverName } : {};
    const secure = connect({
      socket,
      secureContext: secureContextOf(dial),
      ...servername,
      ALPNProtocols: tls.alpnProtocols.length > 0 ? [...tls.alpnProtocols] : [...alpn],
      // What the peer must be is said in Envoy's words, and judged below.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    secure.once("secureConnect", () => {
      const problem = judgeSafely(secure, dial);
      if (problem === undefined) resolve(secure);
      else {
        secure.destroy();
        reject(new Error(problem));
      }
    });
    secure.on("error", (error) => reject(new Error(`TLS: ${tlsProblem(error.message)}`)));
    secure.once("close", () => reject(new Error("TLS: the server closed the connection during the handshake")));
  });
}

function secureContextOf({ tls, material: { certificate, validation } }: TlsDial): SecureContext {
  const authorities = validation?.authoritiesPem;
  const ca = validation?.context.systemRoots === true ? [...(authorities ?? []), ...rootCertificates] : authorities;
  return createSecureContext({
    // Without any, an empty list: Node.js would take the system's.
    ca: [...(ca ?? [])],
    // As in Envoy an authority in between may be the trusted one.
    allowPartialTrustChain: true,
    ...(certificate === undefined ? {} : { cert: certificate.chainPem, key: certificate.keyPem }),
    ...(validation?.crlPem === undefined ? {} : { crl: validation.crlPem }),
    ...(tls.minTlsVersion === undefined ? {} : { minVersion: tls.minTlsVersion }),
    ...(tls.maxTlsVersion === undefined ? {} : { maxVersion: tls.maxTlsVersion }),
    ...(tls.cipherSuites.length === 0 ? {} : { ciphers: [...TLS13_SUITES, ...tls.cipherSuites].join(":") }),
    ...(tls.ecdhCurves.length === 0 ? {} : { ecdhCurve: tls.ecdhCurves.join(":") }),
    ...(tls.signatureAlgorithms.length === 0 ? {} : { sigalgs: tls.signatureAlgorithms.join(":") }),
  });
}

/** What a certificate from outside makes fail is a problem of that certificate. */
function judgeSafely(secure: TLSSocket, dial: TlsDial): string | undefined {
  try {
    return judge(secure, dial);
  } catch (error) {
    return `the server's certificate cannot be judged: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function judge(secure: TLSSocket, { tls, material: { validation }, serverName }: TlsDial): string | undefined {
  const certificate = secure.getPeerX509Certificate();
  // Node.js types it as an Error; it is OpenSSL's code as text.
  const error: unknown = secure.authorizationError;
  return peerProblem(
    { certificate, chainError: secure.authorized ? undefined : error instanceof Error ? error.message : String(error) },
    {
      validation,
      mustName: tls.autoSanValidation ? serverName : "",
      systemRoots: validation?.context.systemRoots === true ? systemRoots() : [],
    },
  );
}

let parsedRoots: readonly X509Certificate[] | undefined;

function systemRoots(): readonly X509Certificate[] {
  parsedRoots ??= rootCertificates.map((pem) => new X509Certificate(pem));
  return parsedRoots;
}
