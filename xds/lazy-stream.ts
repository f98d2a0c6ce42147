// Opens discovery streams with ads-stream.ts, which is loaded when the first one is wanted: gRPC takes 20 MB that a
// sidecar with a static configuration does not need. Used by sources.ts.

import type * as adsStream from "./ads-stream.ts";
import type { canConnect, DiscoveryStream, StreamSink } from "./ads-stream.ts";

type Grpc = typeof adsStream;

let grpc: Grpc | undefined;

/** As `open`, which uses the module. Before gRPC is loaded what is sent waits; it is the handful of first requests. */
export function openLazily<Request>(
  sink: Pick<StreamSink, "onEnd">,
  open: (module: Grpc) => DiscoveryStream<Request>,
): DiscoveryStream<Request> {
  return grpc === undefined ? new WaitingStream(sink, open) : open(grpc);
}

/** As `canConnect`. Never rejects. */
export function canConnectLazily(settings: Parameters<typeof canConnect>[0]): Promise<boolean> {
  return import("./ads-stream.ts").then(
    (module) => module.canConnect(settings),
    () => false,
  );
}

/** A stream that could not be opened: it ends at once, with the reason. */
export function failedStream(sink: Pick<StreamSink, "onEnd">, reason: string): DiscoveryStream<unknown> {
  queueMicrotask(() => sink.onEnd(reason));
  return { send: () => false, pause() {}, resume() {}, close() {} };
}

class WaitingStream<Request> implements DiscoveryStream<Request> {
  #waiting: Request[] = [];
  #isPaused = false;
  #isClosed = false;
  #stream: DiscoveryStream<Request> | undefined = undefined;

  constructor(sink: Pick<StreamSink, "onEnd">, open: (module: Grpc) => DiscoveryStream<Request>) {
    import("./ads-stream.ts").then(
      (module) => {
        grpc = module;
        if (this.#isClosed) {
          sink.onEnd("closed");
          return;
        }
        this.#stream = open(module);
        this.#waiting.forEach((request) => this.#stream?.send(request));
        this.#waiting = [];
        if (this.#isPaused) {
          this.#stream.pause();
        }
      },
      (error: unknown) => sink.onEnd(`gRPC cannot be loaded: ${String(error)}`),
    );
  }

  send(request: Request): boolean {
    if (this.#stream !== undefined) {
      return this.#stream.send(request);
    }
    if (!this.#isClosed) {
      this.#waiting.push(request);
    }
    return true;
  }

  pause(): void {
    this.#isPaused = true;
    this.#stream?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#stream?.resume();
  }

  close(): void {
    this.#isClosed = true;
    this.#stream?.close();
  }
}
