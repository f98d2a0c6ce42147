// Where Envoy 1.40 takes a hostile request otherwise than we do, with its verdict and why ours is another one. Almost always
// we are stricter. Kept true against the real Envoy by hostile-peers.test.ts.

interface Difference {
  /** Envoy's verdict, as hostile-requests.ts has them. */
  readonly envoy: string;
  readonly why: string;
}

const GET_PASSES = "200 200 kept | GET /~/";
const POST_PASSES = "200 200 kept | POST /~/";
const ABC_PASSES = '200 200 kept | POST /~/ "abc"';

const FOLD =
  "RFC 9112 §5.2 lets a server refuse folded lines; Envoy unfolds them, and peers disagree about what they hold";
const LINE_END = "only CRLF ends a line here; Envoy takes looser ends, which hide fields from peers";
const SPACES =
  "the grammar has one space; RFC 9112 §3 lets a server refuse more, and peers split such lines differently";
const CHUNK_END = "the chunked coding's grammar has CRLF here; what is skipped can hide a request";
const EXTENSIONS = "unbounded extensions are free work (CVE-2024-22019); Envoy drops them, however long";
const TRAILERS = "framing and routing fields may not be trailers (RFC 9110 §6.5.1); Envoy drops all trailers unread";
const OVERFLOW = "a length that no number holds is refused at once; Envoy waits for the body";
const HOST_AGAIN = "RFC 9112 §3.2 wants 400 for two Host lines; Envoy joins or drops one";
const HOST = "no peer must find another host in it; Envoy's check of the authority is looser";
const NOMINATED = "the field stays, so nothing is lost to routing or policy; Envoy refuses the request";
const UPGRADE = "RFC 9110 §7.8: an upgrade that is not wanted is ignored; Envoy's 403 breaks clients that always ask";
const ENABLE_UPSTREAM = "the listener's enable_trailers is enough here; Envoy asks for the cluster's too";

export const ENVOY_DIFFERS: Readonly<Record<string, Difference>> = {
  "CL above 2^63": { envoy: "408 closed |", why: OVERFLOW },
  "CL on a folded line": { envoy: '200 200 kept | POST /~/ "xxxxx"', why: FOLD },
  "TE twice": { envoy: "501 closed |", why: "another status" },
  "TE twice, the second unknown": { envoy: "501 closed |", why: "another status" },
  "TE on a folded line": { envoy: POST_PASSES, why: FOLD },
  "TE behind a folded line": { envoy: '200 200 kept | POST /~/ "0\r\n\r\n"', why: FOLD },
  "TE behind a bare LF": { envoy: POST_PASSES, why: LINE_END },
  "TE behind a bare CR": { envoy: "200 400 closed | POST /~/", why: LINE_END },
  "TE in HTTP/1.0": { envoy: "200 closed | POST /~/", why: "RFC 9112 §6.1: the framing is to be taken for faulty" },
  "chunk size with a trailing space": { envoy: ABC_PASSES, why: CHUNK_END },
  "chunk size that overflows": { envoy: "408 closed |", why: OVERFLOW },
  "chunk data ended by LF": { envoy: ABC_PASSES, why: CHUNK_END },
  "chunk data longer than said": { envoy: ABC_PASSES, why: CHUNK_END },
  "last chunk and a bare LF": { envoy: POST_PASSES, why: CHUNK_END },
  "chunk extension with NUL": { envoy: ABC_PASSES, why: CHUNK_END },
  "chunk extensions above 16 KiB": { envoy: ABC_PASSES, why: EXTENSIONS },
  "chunk extensions above 16 KiB in many chunks": {
    envoy: `200 200 kept | POST /~/ "${"x".repeat(20)}"`,
    why: EXTENSIONS,
  },
  "trailers that name CL": { envoy: POST_PASSES, why: TRAILERS },
  "trailers that name TE": { envoy: POST_PASSES, why: TRAILERS },
  "trailers that name Host": { envoy: POST_PASSES, why: TRAILERS },
  "trailers with a folded line": { envoy: POST_PASSES, why: FOLD },
  "too many trailers": { envoy: POST_PASSES, why: "trailers have the head's limits here, passed on or not" },
  "trailers are passed on where they are enabled": { envoy: ABC_PASSES, why: ENABLE_UPSTREAM },
  "trailers may not name Connection's": { envoy: ABC_PASSES, why: ENABLE_UPSTREAM },
  "no version (HTTP/0.9)": { envoy: "426 closed |", why: "another status" },
  "no version, with fields": { envoy: "426 closed |", why: "another status" },
  "two spaces": { envoy: GET_PASSES, why: SPACES },
  "a tab for a space": { envoy: GET_PASSES, why: SPACES },
  "a space behind the version": { envoy: GET_PASSES, why: SPACES },
  "LF for CRLF": { envoy: GET_PASSES, why: LINE_END },
  "HTTP/2's preface": { envoy: "closed |", why: "Envoy answers in HTTP/2, which this listener does not speak" },
  "LFs in front": { envoy: GET_PASSES, why: LINE_END },
  "a flood of empty lines": { envoy: GET_PASSES, why: "a few are tolerated, not any number" },
  "a bare CR in a value": { envoy: GET_PASSES, why: LINE_END },
  "a bare LF in a value": { envoy: GET_PASSES, why: LINE_END },
  "CR CR LF": { envoy: GET_PASSES, why: LINE_END },
  "a folded line": { envoy: GET_PASSES, why: FOLD },
  "a folded line with a tab": { envoy: GET_PASSES, why: FOLD },
  "a head ended by LF LF": { envoy: GET_PASSES, why: LINE_END },
  "Connection may not name Host": { envoy: "400 closed |", why: NOMINATED },
  "Connection may not name X-Forwarded-For": { envoy: "400 closed |", why: NOMINATED },
  "Host twice": { envoy: GET_PASSES, why: HOST_AGAIN },
  "Host twice, different": { envoy: GET_PASSES, why: HOST_AGAIN },
  "Host with user information": { envoy: GET_PASSES, why: HOST },
  "Host with a port of letters": { envoy: GET_PASSES, why: HOST },
  "Host on a folded line": { envoy: GET_PASSES, why: FOLD },
  "Host with half an IPv6 address": { envoy: GET_PASSES, why: HOST },
  "absolute form without path": {
    envoy: "404 200 kept |",
    why: "RFC 9112 §3.2.1: an empty path is sent as /; Envoy routes the bare query, which no prefix fits",
  },
  "absolute form with user information": { envoy: GET_PASSES, why: HOST },
  "absolute form of https": {
    envoy: GET_PASSES,
    why: "plaintext cannot speak for https; Envoy refuses it only with use_remote_address",
  },
  "escaped dot segments with parameters": {
    envoy: "200 200 kept | GET /x/..;/~/..;y/~",
    why: "Envoy removes such segments only where the dots are written as dots, so its result is not yet canonical",
  },
  "answer of a status of two digits": {
    envoy: "200 kept | GET /~/answer/7",
    why: "a status has three digits (RFC 9112 §4); Envoy passes this one on",
  },
  "answer of 101 that nobody asked for": {
    envoy: "101 200 kept | GET /~/answer/8",
    why: "a switch of protocols that nobody asked for would leave client and origin in different protocols",
  },
  "Upgrade to TLS": { envoy: "403 closed |", why: UPGRADE },
  "Upgrade to WebSocket where it is not configured": { envoy: "403 closed |", why: UPGRADE },
};
