// The part of the control plane's admin port that changes what is served, and says what was: push, diff, roll back,
// history. What is pushed goes through the same reader as files, and is refused with file, line and column.

import { jsonReply } from "../admin/reply.ts";
import type { AdminReply } from "../admin/reply.ts";
import type {
  CanaryOptions,
  ConfigDiff,
  ControlPlane,
  GroupFile,
  ReleaseView,
  ResourceGroup,
} from "../../xds/server/index.ts";
import { readGroups } from "../../xds/server/group-files.ts";
import { typeLabel } from "../../xds/type-urls.ts";
import { canaryOptions } from "./canary-settings.ts";
import type { RestRequest, Route } from "./rest-server.ts";

export type ConfigRouteDeps = Readonly<{
  plane: ControlPlane;
  /** Checks the format strings of the resources. */
  formatProblem: (text: string) => string | undefined;
  /** How a push goes out that does not say it. */
  canary: CanaryOptions | undefined;
  /** Something was pushed or rolled back. */
  onChange: (release: ReleaseView) => void;
}>;

const BODY: readonly [name: string, help: string] = [
  "file",
  'name of the body in problems, which is one file; or the body is JSON, {"files":[{"name":…,"text":…}]}, with its content type',
];

const CANARY_PARAMS: readonly (readonly [name: string, help: string])[] = [
  ["canary", "percents of the sidecars that get it first, such as 10 or 5,25; none: all at once"],
  ["hold_s", "seconds that the error rate is watched"],
  ["timeout_s", "seconds to wait for acknowledgements"],
  ["max_error_increase", "percents by which the error rate may be above that of the others"],
  ["min_requests", "requests without which a step is not judged to be good"],
];

export function configRoutes(deps: ConfigRouteDeps): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/config/push",
      help: "serve these files as a new release",
      params: [BODY, ["origin", "who pushes, for the history"], ...CANARY_PARAMS],
      changesConfiguration: true,
      answer: (request) => push(deps, request),
    },
    {
      method: "POST",
      path: "/config/diff",
      help: "what a push of these files would change, and for how many sidecars",
      params: [BODY],
      answer: (request) => withGroups(deps, request, (groups) => jsonReply(diffJson(deps.plane.diff(groups)))),
    },
    {
      method: "POST",
      path: "/config/rollback",
      help: "serve the release before again, or another; ends a canary",
      params: [["to", "number of the release"]],
      changesConfiguration: true,
      answer: (request) => rollback(deps, request),
    },
    {
      method: "GET",
      path: "/config/history",
      help: "the releases that are kept, the newest first",
      answer: () => jsonReply({ releases: deps.plane.releases().map(releaseJson) }),
    },
  ];
}

function push(deps: ConfigRouteDeps, request: RestRequest): AdminReply {
  const canary = canaryOptions((name) => request.query.get(name) ?? undefined, deps.canary);
  if (typeof canary === "string") return problems([canary]);
  return withGroups(deps, request, (groups) => {
    const origin = `push by ${(request.query.get("origin") ?? "REST").slice(0, 200)}`;
    const before = deps.plane.releases()[0]?.id;
    const release = deps.plane.push(groups, { origin, ...(canary === undefined ? {} : { canary }) });
    deps.onChange(release);
    return jsonReply({ changed: release.id !== before, release: releaseJson(release) });
  });
}

function rollback({ plane, onChange }: ConfigRouteDeps, { query }: RestRequest): AdminReply {
  const text = query.get("to");
  const to = text === null ? undefined : Number(text);
  if (to !== undefined && !Number.isInteger(to)) return problems([`to=${text} is no number of a release`]);
  const result = plane.rollback(to);
  if (typeof result === "string") return problems([result]);
  onChange(result);
  return jsonReply({ release: releaseJson(result) });
}

function withGroups(
  { formatProblem }: ConfigRouteDeps,
  request: RestRequest,
  answer: (groups: readonly ResourceGroup[]) => AdminReply,
): AdminReply {
  const files = filesOf(request);
  if (typeof files === "string") return problems([files]);
  const read = readGroups(files, formatProblem);
  return read.ok ? answer(read.groups) : problems(read.problems);
}

function filesOf({ body, contentType, query }: RestRequest): readonly GroupFile[] | string {
  if (!contentType.startsWith("application/json")) return [{ name: query.get("file") ?? "body", text: body }];
  try {
    const { files } = JSON.parse(body) as { files?: unknown };
    const isFile = (each: unknown): each is GroupFile =>
      typeof each === "object" &&
      each !== null &&
      typeof Reflect.get(each, "name") === "string" &&
      typeof Reflect.get(each, "text") === "string";
    if (Array.isArray(files) && files.length > 0 && files.every(isFile)) return files;
  } catch {
    // Told below.
  }
  return 'the body must be {"files":[{"name":"…","text":"…"}]}; send one file as application/yaml';
}

function problems(list: readonly string[]): AdminReply {
  return { ...jsonReply({ problems: list }), status: 400 };
}

/** GET /config/history and the answers of a push. */
export interface ReleaseJson {
  readonly release: number;
  readonly at: string;
  readonly origin: string;
  readonly state: ReleaseView["state"];
  readonly reason: string;
  readonly resources: number;
  readonly groups: number;
  readonly digest: string;
}

export function releaseJson({ id, at, ...rest }: ReleaseView): ReleaseJson {
  const { origin, state, reason, resources, groups, digest } = rest;
  return { release: id, at: new Date(at).toISOString(), origin, state, reason, resources, groups, digest };
}

/** POST /config/diff. */
export interface DiffJson {
  readonly sidecars: number;
  readonly denied: readonly string[];
  readonly changes: readonly {
    readonly kind: string;
    readonly type: string;
    readonly type_url: string;
    readonly name: string;
    readonly selector: string;
    readonly sidecars: number;
    readonly lines: readonly string[];
  }[];
}

function diffJson({ changes, sidecars, denied }: ConfigDiff): DiffJson {
  return {
    sidecars,
    denied,
    changes: changes.map(({ kind, typeUrl, name, selector, sidecars: affected, lines }) => {
      return { kind, type: typeLabel(typeUrl), type_url: typeUrl, name, selector, sidecars: affected, lines };
    }),
  };
}
