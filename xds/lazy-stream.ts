// Opens discovery streams with ads-stream.ts, which is loaded when the first one is wanted: gRPC takes 20 MB that a
// sidecar with a static configuration does not need. Used by sources.ts.

import type { canConnect, DiscoveryStream, openStream, StreamSettings, StreamSink } from "./ads-stream.ts";
import type { DiscoveryRequest } from "./discovery-messages.ts";

let open: typeof openStream | undefined;

/** As `openStream`. Before gRPC is loaded what is sent waits; it is the handful of first requests. */
export function openLazily(settings: StreamSettings, sink: StreamSink): DiscoveryStream {
  return open === undefined ? new WaitingStream(settings, sink) : open(settings, sink);
}

/** As `canConnect`. Never rejects. */
export function canConnectLazily(settings: Parameters<typeof canConnect>[0]): Promise<boolean> {
  return import("./ads-stream.ts").then(
    (module) => module.canConnect(settings),
    () => false,
  );
}

/** A stream that could not be opened: it ends at once, with the reason. */
export function failedStream(sink: StreamSink, reason: string): DiscoveryStream {
  queueMicrotask(() => sink.onEnd(reason));
  return { send: () => false, pause() {}, resume() {}, close() {} };
}

class WaitingStream implements DiscoveryStream {
  #waiting: DiscoveryRequest[] = [];
  #isPaused = false;
  #isClosed = false;
  #stream: DiscoveryStream | undefined = undefined;

  constructor(settings: StreamSettings, sink: StreamSink) {
    import("./ads-stream.ts").then(
      (module) => {
        open = module.openStream;
        if (this.#isClosed) {
          sink.onEnd("closed");
          return;
        }
        this.#stream = open(settings, sink);
        this.#waiting.forEach((request) => this.#stream?.send(request));
        this.#waiting = [];
        if (this.#isPaused) {
          this.#stream.pause();
        }
      },
      (error: unknown) => sink.onEnd(`gRPC cannot be loaded: ${String(error)}`),
    );
  }

  send(request: DiscoveryRequest): boolean {
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
