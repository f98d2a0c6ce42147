// Property paths as guests send them: segments joined by NUL, interned so that a path that is asked for on every
// request is split once. Bounded: guests choose the paths.

export interface PropertyPath {
  /** Segments joined by NUL, without a trailing one. */
  readonly path: string;
  readonly segments: readonly string[];
  /** Set for the three paths that the host answers itself. */
  readonly own: "name" | "rootId" | "vmId" | undefined;
}

const OWN: Readonly<Record<string, "name" | "rootId" | "vmId">> = {
  plugin_name: "name",
  plugin_root_id: "rootId",
  plugin_vm_id: "vmId",
};
/** More than any real plugin uses; when a guest makes up paths the cache starts over. */
const MAX_PATHS = 1024;
/** Longer paths are answered but not kept. */
const MAX_KEPT_LENGTH = 256;

export class PropertyPaths {
  readonly #paths = new Map<string, PropertyPath>();

  intern(raw: string): PropertyPath {
    const known = this.#paths.get(raw);
    if (known !== undefined) return known;
    // C++ guests may send the terminator of the last segment.
    const path = raw.endsWith("\0") ? raw.slice(0, -1) : raw;
    const made: PropertyPath = {
      path,
      segments: path.split("\0"),
      own: Object.hasOwn(OWN, path) ? OWN[path] : undefined,
    };
    if (raw.length > MAX_KEPT_LENGTH) return made;
    if (this.#paths.size >= MAX_PATHS) this.#paths.clear();
    this.#paths.set(raw, made);
    return made;
  }
}
