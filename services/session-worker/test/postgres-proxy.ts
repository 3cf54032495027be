/**
 * Stands between a worker and Postgres, and loses the answer to a statement that Postgres has done: the commit is
 * there, and nobody was told.
 */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** `cut`: the connection ends. `silence`: nothing comes any more, as behind a partition. */
export type Loss = "cut" | "silence";

export type PostgresProxy = {
  /** The same database, by way of the proxy. */
  urlFor(url: string): string;
  /** The next answer to a statement with this text is lost. Resolves once Postgres has done it. */
  loseAnswer(text: string, how: Loss): Promise<void>;
  close(): Promise<void>;
};

/** What Postgres says when a statement is done and committed: ReadyForQuery, idle. */
const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

export async function startPostgresProxy(url: string): Promise<PostgresProxy> {
  const { hostname, port } = new URL(url);
  let order: { text: string; how: Loss; done: () => void } | undefined;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    let taken: typeof order;
    client.on("data", (bytes: Buffer) => {
      if (order && bytes.includes(order.text)) {
        taken = order;
        order = undefined;
      }
      upstream.write(bytes);
    });
    upstream.on("data", (bytes: Buffer) => {
      if (!taken) {
        client.write(bytes);
        return;
      }
      if (!bytes.subarray(-READY.length).equals(READY)) return;
      if (taken.how === "cut") client.destroy();
      taken.done();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port: own } = server.address() as AddressInfo;
  return {
    urlFor: (direct) => {
      const through = new URL(direct);
      through.hostname = "127.0.0.1";
      through.port = String(own);
      return through.href;
    },
    loseAnswer: (text, how) => {
      const { promise, resolve: done } = Promise.withResolvers<void>();
      order = { text, how, done };
      return promise;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
