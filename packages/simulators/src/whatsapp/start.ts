import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { handleControl } from "./http/control-api.ts";
import type { ServerOptions } from "./options.ts";
import { WhatsAppServer } from "./server.ts";
import { loadState, StateFile } from "./state-file.ts";

export type SimulatorOptions = Partial<ServerOptions> & {
  /** 0: any free port */
  port?: number;
  host?: string;
  /** built folder of the phone page, served at `/` */
  page?: string;
  /** kept between runs: root key, phones, linked devices */
  stateFile?: string;
};

export type WhatsAppSimulator = {
  /** WebSocket address, for the option `waWebSocketUrl` */
  url: string;
  /** the control API, without a slash at the end */
  httpUrl: string;
  /** hex; a client's `WA_CERT_DETAILS.PUBLIC_KEY` */
  rootPublicKey: string;
  server: WhatsAppServer;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

const SOCKET_PATH = "/ws/chat";
const LABEL_LENGTH = 100;
/** a client's largest stanza is its first key upload, about 60 KB */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/**
 * Starts the simulated WhatsApp and its control API on one port.
 * libsignal prints keys in this process unless the caller mutes it: see `muteLibsignal`.
 */
export async function startWhatsAppSimulator(
  options: SimulatorOptions = {},
): Promise<WhatsAppSimulator> {
  const { port = 7000, host = "127.0.0.1", page, stateFile, ...rest } = options;
  const state = stateFile === undefined ? undefined : await loadState(stateFile);
  const server = new WhatsAppServer(rest, state?.rootKey);
  await state?.restore(server);
  const http = createServer();
  const wss = acceptSockets(http, server);
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject);
    http.listen(port, host, resolve);
  });
  const authority = `${host.includes(":") ? `[${host}]` : host}:${(http.address() as AddressInfo).port}`;
  const url = `ws://${authority}${SOCKET_PATH}`;
  server.mediaHost = authority;
  http.on("request", (request, response) => {
    void handleControl({ server, page, url: () => url }, request, response);
  });
  const writer = stateFile === undefined ? undefined : new StateFile(server, stateFile);
  let closing: Promise<void> | undefined;
  const close = () =>
    (closing ??= (async () => {
      for (const connection of server.connections) connection.drop();
      wss.close();
      await new Promise<void>((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections();
      });
      await writer?.close();
    })());
  return {
    url,
    httpUrl: `http://${authority}`,
    rootPublicKey: server.rootPublicKey,
    server,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function acceptSockets(http: Server, server: WhatsAppServer): WebSocketServer {
  const wss = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
  });
  http.on("upgrade", (request, socket: Duplex, head) => {
    const { pathname: path, searchParams } = new URL(request.url ?? "/", "http://localhost");
    const label = searchParams.get("label")?.slice(0, LABEL_LENGTH) ?? null;
    const refused = server.faults.take("refuse-upgrades", {})?.["status"];
    if (path !== SOCKET_PATH || refused !== undefined) {
      socket.on("error", () => undefined);
      const status = path === SOCKET_PATH ? Number(refused) : 404;
      socket.end(`HTTP/1.1 ${status} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      return;
    }
    (socket as Socket).setNoDelay(true);
    // the name under which this client reaches the simulator is the one for its files as well
    server.mediaHost = request.headers.host ?? server.mediaHost;
    wss.handleUpgrade(request, socket, head, (webSocket) => server.accept(webSocket, label));
  });
  return wss;
}
