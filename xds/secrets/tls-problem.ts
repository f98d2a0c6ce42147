// What went wrong with a TLS connection, for people: OpenSSL's words without its numbers, files and lines. Pure.

const WORDS: readonly (readonly [pattern: RegExp, words: string])[] = [
  [/alert certificate required/, "the server demands a certificate, and there is none to show"],
  [/wrong version number|packet length too long|http request|record layer failure/, "the server does not speak TLS"],
  [/alert protocol version|unsupported protocol|no protocols available/, "there is no version of TLS that both speak"],
  [/no shared cipher|no ciphers available|no cipher match/, "there is no cipher suite that both have"],
];

const REFUSED_CERTIFICATE =
  /alert ((?:bad|unsupported) certificate|unknown ca|certificate (?:revoked|expired|unknown)|access denied|decrypt error)/;

/** `message` without OpenSSL's frame, where it has one. */
export function tlsProblem(message: string): string {
  const [, reason] = /error:[0-9A-F]+:[^:]*:[^:]*:([^:]*)/.exec(message) ?? [];
  if (reason === undefined) return message;
  const [, why] = REFUSED_CERTIFICATE.exec(reason) ?? [];
  if (why !== undefined) return `the server refuses our certificate: ${why}`;
  return WORDS.find(([pattern]) => pattern.test(reason))?.[1] ?? reason;
}
