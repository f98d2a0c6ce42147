// gRPC calls and streams as a guest sees them, with the server played by the test: callbacks and their order, tokens, statuses,
// both forms of a target, and the imports of SDKs that know no initial metadata.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { encodeBytePairs } from "../../plugins/abi/pairs.ts";
import { DEFAULT_FUEL } from "../../plugins/metering/fuel-gauge.ts";
import { writeFields } from "../../plugins/proto-fields.ts";
import { FakeStream } from "./support/fake-stream.ts";
import { loaded } from "./support/loaded.ts";
import { OUT, WatGuest } from "./support/wat-guest.ts";

const CALL = 5;
const STREAM = 6;
const METADATA = pairs(["X-From", "guest"], [":path", "/mine"]);

function pairs(...list: [string, string][]): Uint8Array {
  return encodeBytePairs(list.map(([name, value]) => [name, Buffer.from(value, "latin1")] as const));
}

interface Target {
  readonly to?: string | Uint8Array;
  readonly service?: string;
  readonly metadata?: Uint8Array;
  readonly timeoutMs?: number;
}

/** An expression: proxy_grpc_call with the message "ask", its token at 28. */
function grpcCall(
  guest: WatGuest,
  { to = "auth", service = "a.B", metadata = METADATA, timeoutMs = 250 }: Target = {},
) {
  return `(call $proxy_grpc_call ${guest.text(to)} ${guest.text(service)} ${guest.text("Do")} ${guest.text(metadata)}
    ${guest.text("ask")} (i32.const ${timeoutMs}) (i32.const 28))`;
}

/** The same for proxy_grpc_stream. */
function grpcStream(guest: WatGuest, { to = "auth", service = "a.B", metadata = METADATA }: Target = {}): string {
  return `(call $proxy_grpc_stream ${guest.text(to)} ${guest.text(service)} ${guest.text("Do")} ${guest.text(metadata)}
    (i32.const 28))`;
}

const TOKEN = "(i32.load (i32.const 28))";

/** A guest that logs every gRPC callback: a letter for it, its last argument as a letter, what it can read. */
function journaling(guest: WatGuest): WatGuest {
  const value = (map: number, name: string): string =>
    `${guest.logLetter(`(call $proxy_get_header_map_value (i32.const ${map}) ${guest.text(name)} ${OUT})`)}`;
  const status = `(drop (call $proxy_get_status (i32.const 32) ${OUT})) ${guest.logResult()}
    ${guest.logLetter("(i32.load (i32.const 32))")}`;
  const message = `(drop (call $proxy_get_buffer_bytes (i32.const 5) (i32.const 0) (i32.const 99) ${OUT})) ${guest.logResult()}`;
  const count = guest.logLetter("(local.get $2)");
  return guest
    .on(
      "proxy_on_grpc_receive_initial_metadata",
      `${guest.log("initial")} ${count} ${value(4, "x-in")} ${value(5, "x-in")}`,
    )
    .on("proxy_on_grpc_receive", `${guest.log("receive")} ${count} ${message} ${status}`)
    .on(
      "proxy_on_grpc_receive_trailing_metadata",
      `${guest.log("trailing")} ${count} ${value(5, "x-out")} ${value(4, "x-out")}`,
    )
    .on("proxy_on_grpc_close", `${guest.log("close")} ${count} ${message} ${status}`);
}

/** Starts the call in request headers; `later` are expressions whose statuses `more()` logs, in a callback of their own. */
function started(
  make: (guest: WatGuest) => string,
  later: (guest: WatGuest) => readonly string[] = () => [],
  options: ConstructorParameters<typeof WatGuest>[0] = {},
) {
  const guest = new WatGuest(options);
  guest.on("proxy_on_request_headers", `${guest.logLetter(make(guest))} (i32.const 0)`);
  const statements = later(guest).map((one) => guest.logLetter(one));
  guest.on("proxy_on_request_body", `${statements.join("\n")} (i32.const 0)`);
  const host = loaded(journaling(guest));
  const stream = new FakeStream();
  const context = host.plugin.createHttpContext(stream);
  context.onRequestHeaders(3, false);
  const more = (): string[] => {
    const before = host.lines().length;
    context.onRequestBody(0, false);
    return host.lines().slice(before);
  };
  return { ...host, stream, context, more };
}

suite("proxy_grpc_call", () => {
  test("that goes well is one proxy_on_grpc_receive, with the message in buffer 5", () => {
    const { ports, lines, hooks, stream } = started(grpcCall);
    const [call] = ports.grpc.calls;
    assert.equal(call?.cluster, "auth");
    assert.equal(call?.path, "/a.B/Do");
    assert.deepEqual(call?.metadata, ["x-from", "guest"], "a pseudo header is the embedder's");
    assert.equal(Buffer.from(call?.message ?? []).toString(), "ask");
    assert.equal(call?.timeoutMs, 250);
    assert.equal(call?.stream, stream);
    assert.equal(call?.token, CALL);
    assert.deepEqual(hooks.at(-1)?.callTokens, [CALL]);
    const server = ports.grpc.receiver(CALL);
    server.onInitialMetadata(["x-in", "1"]);
    server.onMessage(Buffer.from("first"));
    server.onMessage(Buffer.from("yes"));
    server.onTrailingMetadata(["x-out", "1"]);
    server.onClose(0, "");
    assert.deepEqual(lines(), ["a", "receive", "d", "yes", "", "a"]);
    assert.equal(hooks.at(-1)?.answeredToken, CALL);
    server.onClose(0, "");
    assert.equal(lines().length, 6);
  });

  for (const [why, play, status] of [
    ["that fails", (server) => server.onClose(5, "gone"), "f"],
    ["that answers nothing", (server) => server.onClose(0, ""), "n"],
  ] as const satisfies readonly (readonly [string, (server: ReturnType<Grpc["receiver"]>) => void, string])[]) {
    test(`${why} is one proxy_on_grpc_close, with status and message in proxy_get_status`, () => {
      const { ports, lines } = started(grpcCall);
      const server = ports.grpc.receiver(CALL);
      server.onInitialMetadata([]);
      server.onTrailingMetadata([]);
      play(server);
      assert.deepEqual(lines(), ["a", "close", status, "", status === "f" ? "gone" : "", status]);
    });
  }

  test("names its target by a GrpcService, too", () => {
    const text = (value: string): Buffer => Buffer.from(value);
    const header = (key: string, value: string) =>
      writeFields([
        [1, text(key)],
        [2, text(value)],
      ]);
    const envoyGrpc = writeFields([
      [1, text("auth")],
      [2, text("api.test")],
      [4, writeFields([[1, 99]])],
    ]);
    const to = writeFields([
      [1, envoyGrpc],
      [5, header("X-One", "1")],
      [5, header("x-two", "2")],
    ]);
    const { ports } = started((guest) => grpcCall(guest, { to }));
    const [call] = ports.grpc.calls;
    assert.deepEqual(
      [call?.cluster, call?.authority, call?.maxMessageBytes, call?.metadata],
      ["auth", "api.test", 99, ["x-one", "1", "x-two", "2", "x-from", "guest"]],
    );
  });

  test("refusals are ParseFailure and InternalFailure, which the Rust SDK takes", () => {
    const google = writeFields([[2, writeFields([[1, Buffer.from("x:1")]])]]);
    const down = writeFields([[1, writeFields([[1, Buffer.from("down")]])]]);
    const targets: [Target, string][] = [
      [{ to: "unknown" }, "e"],
      // Parses as a message with an unknown field and names no target.
      [{ to: "h1" }, "a"],
      [{ to: google }, "k"],
      [{ to: down }, "k"],
      [{ to: "down" }, "k"],
      [{ service: "a b" }, "k"],
      [{ service: "" }, "k"],
      [{ metadata: Uint8Array.of(9, 9, 9, 9, 9) }, "k"],
      [{ metadata: pairs(["x", "a\r\nb"]) }, "k"],
      [{ metadata: new Uint8Array(0) }, "a"],
    ];
    for (const [target, letter] of targets) {
      const { lines } = started((guest) => grpcCall(guest, target));
      assert.equal(
        lines()
          .filter((line) => line.length === 1)
          .at(-1),
        letter,
        JSON.stringify(target),
      );
    }
  });

  test("pointers outside of memory are InvalidMemoryAccess", () => {
    const out = "(i32.const 0x7ffffff0) (i32.const 64)";
    for (let at = 0; at < 6; at++) {
      const { lines, ports } = started((guest) => {
        const good = ["auth", "a.B", "Do", METADATA, "ask"].map((one) => guest.text(one));
        const args = good.map((one, i) => (i === at ? out : one)).join(" ");
        return `(call $proxy_grpc_call ${args} (i32.const 1) (i32.const ${at === 5 ? -2 : 28}))`;
      });
      assert.equal(lines().at(-1), "g", String(at));
      assert.deepEqual(ports.grpc.calls, []);
    }
  });

  test("a context has at most 1024 calls under way", () => {
    const guest = new WatGuest();
    guest.on(
      "proxy_on_request_headers",
      `(local $left i32) (local.set $left (i32.const 1025))
       (loop $more (i32.store (i32.const 40) ${grpcCall(guest)})
         (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
       ${guest.logLetter("(i32.load (i32.const 40))")} (i32.const 1)`,
    );
    const { plugin, ports, lines } = loaded(guest, { fuel: { ...DEFAULT_FUEL, perCallback: 0 } });
    plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
    assert.equal(ports.grpc.calls.length, 1024);
    assert.equal(lines().at(-1), "k");
    ports.grpc.receiver(CALL).onClose(14, "");
    plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
    assert.equal(ports.grpc.calls.length, 1025);
  });
});

type Grpc = ReturnType<typeof loaded>["ports"]["grpc"];

suite("proxy_grpc_stream", () => {
  test("hears of everything, in order, each in its callback only", () => {
    const { ports, lines, hooks } = started(grpcStream);
    assert.equal(ports.grpc.calls[0]?.message, undefined);
    assert.equal(ports.grpc.calls[0]?.token, STREAM);
    const server = ports.grpc.receiver(STREAM);
    server.onInitialMetadata(["x-in", "1"]);
    assert.deepEqual(lines(), ["a", "initial", "b", "a", "b"]);
    server.onMessage(Buffer.from("one"));
    server.onMessage(Buffer.from(""));
    assert.deepEqual(lines().slice(5), ["receive", "d", "one", "", "a", "receive", "a", "", "", "a"]);
    server.onTrailingMetadata(["x-out", "1", "x-out", "2"]);
    server.onClose(7, "no");
    assert.deepEqual(lines().slice(15), ["trailing", "c", "a", "b", "close", "h", "", "no", "h"]);
    assert.deepEqual(
      hooks.slice(-5).map((hook) => hook.answeredToken),
      [STREAM, STREAM, STREAM, STREAM, STREAM],
    );
  });

  const send = (guest: WatGuest, text: string, end = 0): string =>
    `(call $proxy_grpc_send ${TOKEN} ${guest.text(text)} (i32.const ${end}))`;
  const close = `(call $proxy_grpc_close ${TOKEN})`;
  const cancel = `(call $proxy_grpc_cancel ${TOKEN})`;

  test("sends, closes its half and goes on receiving; to send after that is BadArgument", () => {
    const { ports, lines, more } = started(grpcStream, (guest) => [
      send(guest, "one"),
      send(guest, ""),
      close,
      send(guest, "late"),
      close,
    ]);
    assert.deepEqual(more(), ["a", "a", "a", "c", "a"]);
    assert.deepEqual(ports.grpc.journal, [`send ${STREAM} one`, `send ${STREAM} `, `close ${STREAM}`]);
    ports.grpc.receiver(STREAM).onMessage(Buffer.from("more"));
    assert.equal(lines().at(-4), "e");
    ports.grpc.receiver(STREAM).onClose(0, "");
    assert.deepEqual(more(), ["b", "b", "b", "b", "b"], "both sides have ended: the token is forgotten");
  });

  test("a message with end_of_stream closes it, too", () => {
    const { ports, more } = started(grpcStream, (guest) => [send(guest, "one", 1), send(guest, "late"), close]);
    assert.deepEqual(more(), ["a", "c", "a"]);
    assert.deepEqual(ports.grpc.journal, [`send ${STREAM} one end`]);
  });

  test("that the server has ended still takes messages, which are lost, until it is closed", () => {
    const { ports, more } = started(grpcStream, (guest) => [send(guest, "late"), close, send(guest, "later"), close]);
    ports.grpc.receiver(STREAM).onClose(0, "");
    assert.deepEqual(more(), ["a", "a", "b", "b"]);
    assert.deepEqual(ports.grpc.journal, []);
  });

  test("that is cancelled says nothing any more", () => {
    const { ports, lines, more } = started(grpcStream, () => [cancel, cancel]);
    assert.deepEqual(more(), ["a", "b"]);
    assert.deepEqual(ports.grpc.journal, [`cancel ${STREAM}`]);
    const before = lines().length;
    const server = ports.grpc.receiver(STREAM);
    server.onInitialMetadata([]);
    server.onMessage(Buffer.from("x"));
    server.onTrailingMetadata([]);
    server.onClose(0, "");
    assert.equal(lines().length, before);
  });

  test("to close or to cancel a unary call gives it up; to send on it is BadArgument", () => {
    for (const end of [close, cancel]) {
      const { ports, more } = started(grpcCall, (guest) => [send(guest, "x"), end, end]);
      assert.deepEqual(more(), ["c", "a", "b"]);
      assert.deepEqual(ports.grpc.journal, [`cancel ${CALL}`]);
    }
  });

  test("tokens that are none: NotFound, and BadArgument to send on another kind", () => {
    const token = (value: number) => `(i32.const ${value})`;
    const { more } = started(grpcStream, (guest) => [
      `(call $proxy_grpc_send ${token(4)} ${guest.text("x")} (i32.const 0))`,
      `(call $proxy_grpc_send ${token(99)} ${guest.text("x")} (i32.const 0))`,
      `(call $proxy_grpc_send ${token(98)} ${guest.text("x")} (i32.const 0))`,
      ...[0, 4, 5, 98].flatMap((value) => [
        `(call $proxy_grpc_close ${token(value)})`,
        `(call $proxy_grpc_cancel ${token(value)})`,
      ]),
      `(call $proxy_grpc_send ${TOKEN} (i32.const -8) (i32.const 16) (i32.const 0))`,
    ]);
    assert.deepEqual(more(), ["c", "c", "b", ...Array.from({ length: 8 }, () => "b"), "g"]);
  });

  test("an SDK without initial metadata has two parameters less", () => {
    const imports = { proxy_grpc_call: "iiiiiiiiii", proxy_grpc_stream: "iiiiiii" };
    const names = (guest: WatGuest) => ["auth", "a.B", "Do"].map((one) => guest.text(one)).join(" ");
    for (const abi of ["0_1_0", "0_2_0", "0_2_1"]) {
      const { ports, lines } = started(
        (guest) => `(i32.or
          (call $proxy_grpc_call ${names(guest)} ${guest.text("ask")} (i32.const 70) (i32.const 28))
          (call $proxy_grpc_stream ${names(guest)} (i32.const 44)))`,
        () => [],
        { abi, imports },
      );
      const [call, stream] = ports.grpc.calls;
      assert.deepEqual(lines(), ["a"]);
      assert.deepEqual([call?.path, call?.metadata, call?.timeoutMs], ["/a.B/Do", [], 70]);
      assert.equal(Buffer.from(call?.message ?? []).toString(), "ask");
      assert.deepEqual([stream?.path, stream?.metadata, stream?.message], ["/a.B/Do", [], undefined]);
      ports.grpc.receiver(CALL).onMessage(Buffer.from("yes"));
      ports.grpc.receiver(CALL).onClose(0, "");
      assert.deepEqual(lines().slice(1, 4), ["receive", "d", "yes"]);
    }
  });

  test("the answer still comes when the HTTP stream has gone, and everything is cancelled with the plugin", () => {
    const { plugin, ports, lines, context } = started(grpcStream);
    context.close();
    ports.grpc.receiver(STREAM).onMessage(Buffer.from("x"));
    assert.equal(lines().at(-4), "b");
    plugin.dispose();
    assert.deepEqual(ports.grpc.journal, [`cancel ${STREAM}`]);
  });

  test("a trap in one of its callbacks cancels all calls of the VM, and nothing more is delivered", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_request_headers", `(drop ${grpcStream(guest)}) (drop ${grpcCall(guest)}) (i32.const 1)`);
    guest.on("proxy_on_grpc_receive", "unreachable");
    const { plugin, ports, hooks } = loaded(guest);
    const stream = new FakeStream();
    plugin.createHttpContext(stream).onRequestHeaders(3, true);
    ports.grpc.receiver(STREAM).onMessage(Buffer.from("x"));
    assert.equal(plugin.view().lastFault?.callback, "proxy_on_grpc_receive");
    assert.deepEqual(ports.grpc.journal, [`cancel ${STREAM}`, "cancel 9"]);
    assert.deepEqual(stream.journal, ["reply 503 wasm_fail_stream"]);
    const ran = hooks.length;
    ports.grpc.receiver(STREAM).onClose(0, "");
    ports.grpc.receiver(9).onClose(0, "");
    assert.equal(hooks.length, ran);
  });

  test("floods of calls and of messages are paid for with fuel", () => {
    for (const [flood, most] of [
      [(guest: WatGuest) => `(drop ${grpcCall(guest)}) (drop ${cancel})`, 1_000],
      [(guest: WatGuest) => `(drop ${send(guest, "")})`, 25_000],
    ] as const) {
      const guest = new WatGuest();
      guest.on(
        "proxy_on_request_headers",
        `(drop ${grpcStream(guest)}) (loop $again ${flood(guest)} (br $again)) (i32.const 0)`,
      );
      const { plugin, ports } = loaded(guest);
      plugin.createHttpContext(new FakeStream()).onRequestHeaders(3, true);
      assert.equal(plugin.view().lastFault?.kind, "out_of_fuel");
      assert.ok(ports.grpc.journal.length <= most, `${ports.grpc.journal.length} calls`);
    }
  });
});
