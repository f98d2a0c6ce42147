/** The upstream of pool.ts: answers each read with one small response; prints its port. */
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";

const RESPONSE =
  "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";

const server = createServer({ noDelay: true }, (socket) => {
  socket.on("data", () => socket.write(RESPONSE, "latin1"));
  socket.on("error", () => socket.destroy());
});
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
