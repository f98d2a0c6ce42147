// What an admin endpoint answers, and the small pieces that all of them need: query parameters, JSON as Envoy prints it.
// Used by admin.ts and the endpoint files. Pure.

export interface AdminReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Headers beyond those that every answer has. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Runs once the answer has been handed to the kernel. */
  readonly afterwards?: () => void;
}

const TEXT = "text/plain; charset=UTF-8";
const JSON_TYPE = "application/json";

export function textReply(body: string, status = 200): AdminReply {
  return { status, contentType: TEXT, body };
}

/** One space of indent, as Envoy. */
export function jsonReply(value: unknown): AdminReply {
  return { status: 200, contentType: JSON_TYPE, body: `${JSON.stringify(value, undefined, 1)}\n` };
}

/** JSON that is text already. */
export function rawJsonReply(body: string): AdminReply {
  return { status: 200, contentType: JSON_TYPE, body };
}

export function htmlReply(body: string, contentSecurityPolicy: string): AdminReply {
  return {
    status: 200,
    contentType: "text/html; charset=UTF-8",
    body,
    headers: { "content-security-policy": contentSecurityPolicy, "x-frame-options": "DENY" },
  };
}

/** The same value with `camelCase` keys as `snake_case`, for views of our own. */
export function snakeCase(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(snakeCase);
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  const result: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    result[key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)] = snakeCase(inner);
  }
  return result;
}

/** envoy.config.core.v3.Address from `host:port`, `[v6]:port` or a path. */
export function addressMessage(address: string): object {
  const colon = address.lastIndexOf(":");
  if (address.startsWith("/") || address.startsWith("@") || colon < 0) {
    return { pipe: { path: address } };
  }
  return {
    socket_address: {
      address: address.slice(0, colon).replace(/^\[|\]$/g, ""),
      port_value: Number(address.slice(colon + 1)),
    },
  };
}
