// What a kubelet does with a pod: init containers one after the other (a native sidecar is waited for by its startup probe), then the containers in
// their order, each when the one before has run its postStart hook; at the end preStop hooks and SIGTERM. It runs what stands in the pod, word by word.

import assert from "node:assert/strict";
import { join } from "node:path";
import { EventLog } from "./events.ts";
import type { Ending } from "./launcher.ts";
import type { PodSandbox, SandboxProcess } from "./pod-sandbox.ts";
import { until } from "./sidecar-story.ts";

const ROOT = join(import.meta.dirname, "../..");

interface Handler {
  readonly exec?: { readonly command: readonly string[] };
}

export interface KubeletContainer {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
  }[];
  readonly lifecycle?: { readonly postStart?: Handler; readonly preStop?: Handler };
  readonly startupProbe?: { readonly httpGet: { readonly path: string; readonly port: number } };
  readonly restartPolicy?: string;
  readonly securityContext?: { readonly runAsUser?: number };
}

export interface KubeletPod {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: {
    readonly initContainers?: readonly KubeletContainer[];
    readonly containers: readonly KubeletContainer[];
  };
}

export class Kubelet {
  /** `started NAME`, `ended NAME CODE`, `postStart NAME CODE`, `probe NAME CODE`, in order. */
  readonly events = new EventLog<string>();
  readonly #sandbox: PodSandbox;
  readonly #pod: KubeletPod;
  readonly #running = new Map<string, SandboxProcess>();

  constructor(sandbox: PodSandbox, pod: KubeletPod) {
    this.#sandbox = sandbox;
    this.#pod = pod;
  }

  /** Resolves when every container was started. */
  async start(): Promise<void> {
    for (const container of this.#pod.spec.initContainers ?? []) {
      const running = this.#start(container);
      if (container.restartPolicy !== "Always") {
        assert.deepEqual(await running.ended, { code: 0, signal: null }, running.stderr.all.join("\n"));
      } else if (container.startupProbe !== undefined) {
        await this.#untilStarted(container, container.startupProbe);
      }
    }
    for (const container of this.#pod.spec.containers) {
      this.#start(container);
      await this.#hook("postStart", container);
    }
  }

  process(name: string): SandboxProcess {
    const running = this.#running.get(name);
    assert.ok(running !== undefined, `${name} was never started`);
    return running;
  }

  /** The end of a container that is not the pod's: the hook, then SIGTERM. */
  async stop(name: string): Promise<Ending> {
    await this.#hook("preStop", this.#containerOf(name));
    this.process(name).signal("SIGTERM");
    return this.process(name).ended;
  }

  #containerOf(name: string): KubeletContainer {
    const { initContainers = [], containers } = this.#pod.spec;
    const found = [...initContainers, ...containers].find((each) => each.name === name);
    assert.ok(found !== undefined);
    return found;
  }

  #start(container: KubeletContainer): SandboxProcess {
    // The entry point of our image; others say theirs.
    const words = [...(container.command ?? ["outrigger"]), ...(container.args ?? [])];
    const running = this.#run(container, words);
    this.#running.set(container.name, running);
    this.events.push(`started ${container.name}`);
    void running.ended.then(({ code, signal }) => this.events.push(`ended ${container.name} ${code ?? signal}`));
    return running;
  }

  #run(container: KubeletContainer, words: readonly string[]): SandboxProcess {
    const fields: Readonly<Record<string, string>> = {
      "metadata.name": this.#pod.metadata.name,
      "metadata.namespace": this.#pod.metadata.namespace,
      "spec.nodeName": "node",
      "spec.serviceAccountName": "default",
    };
    const env: Record<string, string> = {
      PATH: `${ROOT}:${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`,
      ...Object.fromEntries(
        (container.env ?? []).map(({ name, value, valueFrom }) => [
          name,
          value ?? fields[valueFrom?.fieldRef.fieldPath ?? ""] ?? "127.0.0.1",
        ]),
      ),
    };
    const filled = words.map((word) => word.replaceAll(/\$\((\w+)\)/g, (text, name: string) => env[name] ?? text));
    return this.#sandbox.start(container.name, filled, { uid: container.securityContext?.runAsUser ?? 1000, env });
  }

  async #hook(hook: "postStart" | "preStop", container: KubeletContainer): Promise<void> {
    const command = container.lifecycle?.[hook]?.exec?.command;
    if (command !== undefined) {
      const ran = this.#run(container, command);
      const { code, signal } = await ran.ended;
      this.events.push(`${hook} ${container.name} ${code ?? signal}`);
      assert.equal(code, 0, ran.stderr.all.join("\n"));
    }
  }

  async #untilStarted(
    { name }: KubeletContainer,
    { httpGet }: NonNullable<KubeletContainer["startupProbe"]>,
  ): Promise<void> {
    await until(
      `the start of ${name}`,
      async () => {
        const url = `http://127.0.0.1:${httpGet.port}${httpGet.path}`;
        // The pod's own loopback is the nearest thing to its address here.
        const ask = this.#sandbox.onNode(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url]);
        await ask.ended;
        const code = ask.stdout.all.join("");
        this.events.push(`probe ${name} ${code}`);
        return code;
      },
      (code) => code === "200",
    );
  }
}
