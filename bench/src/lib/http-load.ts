/** Posts requests that were written beforehand, over connections that stay open: as little work as can be. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** A request as bytes, head and all. */
export function rawPost(url: URL, headers: Record<string, string>, body: Uint8Array): Buffer {
  const lines = [
    `POST ${url.pathname} HTTP/1.1`,
    `host: ${url.host}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${body.length}`,
    "",
    "",
  ];
  return Buffer.concat([Buffer.from(lines.join("\r\n")), body]);
}

/** `latencies` in milliseconds, in the order of the requests. */
export type LoadResult = { wallMs: number; latencies: number[]; statuses: Map<number, number> };

class Connection {
  readonly #socket: Socket;
  #answer = "";
  #waiting: PromiseWithResolvers<number> | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => this.#read(text));
    socket.on("close", () => this.#waiting?.reject(new Error("the connection was closed")));
    socket.on("error", (error) => this.#waiting?.reject(error));
  }

  /** Resolves to the status, once the whole answer is there. */
  post(request: Buffer): Promise<number> {
    this.#waiting = Promise.withResolvers<number>();
    this.#socket.write(request);
    return this.#waiting.promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(text: string): void {
    this.#answer += text;
    const end = this.#answer.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(this.#answer)?.[1] ?? 0);
    if (this.#answer.length < end + 4 + length) return;
    const status = Number(this.#answer.slice(9, 12));
    this.#answer = "";
    this.#waiting?.resolve(status);
  }
}

/**
 * Without `perSecond` each connection posts as soon as it is answered. With it requests are due at even distances, and
 * their time runs from then, also while they wait for a connection.
 */
export async function load(
  url: URL,
  requests: readonly Buffer[],
  options: { connections: number; perSecond?: number },
): Promise<LoadResult> {
  const { connections, perSecond } = options;
  const opened = await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect(Number(url.port), url.hostname);
      await once(socket, "connect");
      return new Connection(socket);
    }),
  );
  const latencies = Array.from({ length: requests.length }, () => Number.NaN);
  const statuses = new Map<number, number>();
  const startedAt = performance.now();
  let next = 0;
  const work = async (connection: Connection): Promise<void> => {
    for (;;) {
      const place = next;
      next += 1;
      const request = requests[place];
      if (!request) return;
      const dueAt =
        perSecond === undefined ? performance.now() : startedAt + (place * 1_000) / perSecond;
      const waitMs = dueAt - performance.now();
      if (waitMs > 0) await delay(waitMs);
      const status = await connection.post(request);
      latencies[place] = performance.now() - dueAt;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  try {
    await Promise.all(opened.map(work));
  } finally {
    for (const connection of opened) connection.close();
  }
  return { wallMs: performance.now() - startedAt, latencies, statuses };
}
