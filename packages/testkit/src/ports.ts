import { randomInt } from "node:crypto";
import { connect, createServer } from "node:net";

/**
 * A TCP port of 127.0.0.1 that was free a moment ago; another process may still be faster.
 * It lies below the range from which systems take the local ports of outgoing connections, so a busy
 * test cannot lose the port of a server that it restarts.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = randomInt(11_000, 32_000);
    if (!(await isPortTaken(port))) return port;
  }
  throw new Error("no free port was found between 11000 and 32000");
}

/** Whether somebody listens on this port of 127.0.0.1 (any process, any protocol). */
export async function isPortTaken(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(true);
      else reject(error);
    });
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      server.close(() => resolve(false));
    });
  });
}

/** A server was to be started on a port where another process listens. */
export class PortInUseError extends Error {
  override name = "PortInUseError";
  readonly port: number;

  constructor(server: string, port: number) {
    super(`port ${port}, wanted for ${server}, is in use by another program`);
    this.port = port;
  }
}

/** Throws `PortInUseError` when the port is taken. */
export async function assertPortFree(server: string, port: number): Promise<void> {
  if (await isPortTaken(port)) throw new PortInUseError(server, port);
}

/**
 * Connects, sends `hello` if there is one, and tells whether the answer starts with `expected`.
 * Never throws: a server that is not there (yet) is `false`.
 */
export async function answers(
  port: number,
  expected: string,
  hello?: string,
  timeoutMs = 2000,
): Promise<boolean> {
  return new Promise((resolve) => {
    let received = "";
    const socket = connect({ port, host: "127.0.0.1" });
    const finish = (isAnswered: boolean): void => {
      socket.destroy();
      resolve(isAnswered);
    };
    socket.setTimeout(timeoutMs, () => finish(false));
    socket.once("error", () => finish(false));
    socket.once("close", () => finish(false));
    socket.once("connect", () => {
      if (hello !== undefined) socket.write(hello);
    });
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      if (received.length >= expected.length) finish(received.startsWith(expected));
    });
  });
}
