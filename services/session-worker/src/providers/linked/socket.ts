/**
 * One Baileys socket, made the way this product needs it. A socket is one connection; it never reconnects.
 * Everything is done from outside the library: raw listeners in front of its own, its options, its event
 * emitter.
 */
import https from "node:https";
import net from "node:net";
import {
  DEFAULT_CONNECTION_CONFIG,
  isJidNewsletter,
  isJidStatusBroadcast,
  makeWASocket,
  type AuthenticationState,
  type ConnectionState,
  type SocketConfig,
  type WASocket,
  type WAVersion,
} from "@whiskeysockets/baileys";
import type { ConnectionEnd } from "../provider.ts";
import { guardFrames } from "./frame-guard.ts";
import { rawSocket } from "./raw-socket.ts";
import type { SharedCaches } from "./shared-caches.ts";
import { installWriteGate, type WriteGate } from "./write-gate.ts";

/** What WhatsApp lists under linked devices (first field), and an ordinary browser for the rest. */
export type SocketFigures = {
  /** undefined: the real WhatsApp. */
  url: string | undefined;
  /** One setting for the whole fleet, so that it can be raised without a release. */
  version: WAVersion | undefined;
  deviceName: string;
  /** No sign of life from the library within this time after the start ends the socket. */
  watchdogMs: number;
  keepAliveMs: number;
  queryTimeoutMs: number;
};

export type SocketHandlers = {
  /** Each `connection.update` that is not the end. */
  onUpdate: (update: Partial<ConnectionState>) => void;
  onEnd: (end: ConnectionEnd) => void;
  /** What WhatsApp said could not be read, and was left out. */
  onBadFrame?: (error: unknown) => void;
};

export type ManagedSocket = {
  sock: WASocket;
  /** What the library writes; shut as soon as the connection is being ended. */
  gate: WriteGate;
  isEnded: () => boolean;
  close: () => void;
  fail: (error: Error) => void;
};

/** How long a closing handshake may take before the connection is cut. */
const CLOSE_MS = 2_000;

export function openSocket(
  auth: AuthenticationState,
  numberId: string,
  figures: SocketFigures,
  caches: SharedCaches,
  handlers: SocketHandlers,
  more: Partial<Pick<SocketConfig, "makeSignalRepository" | "getMessage">> = {},
): ManagedSocket {
  const sock = makeWASocket({
    auth,
    logger: SILENT,
    version: figures.version ?? DEFAULT_CONNECTION_CONFIG.version,
    ...(figures.url === undefined ? {} : { waWebSocketUrl: figures.url }),
    ...(figures.url?.startsWith("ws:") === true ? { fetchAgent: PLAIN_AGENT } : {}),
    browser: [figures.deviceName, "Chrome", "14.4.1"],
    // The library's own QR clock must not close a socket whose code or passkey is still pending.
    qrTimeout: 15 * 60_000,
    connectTimeoutMs: Math.min(20_000, figures.watchdogMs),
    defaultQueryTimeoutMs: figures.queryTimeoutMs,
    keepAliveIntervalMs: figures.keepAliveMs,
    fireInitQueries: false,
    markOnlineOnConnect: false,
    enableRecentMessageCache: false,
    emitOwnEvents: false,
    shouldSyncHistoryMessage: () => false,
    // Acknowledged and forgotten: nobody is told of these, and a busy account gets thousands a day.
    shouldIgnoreJid: (jid) => isJidStatusBroadcast(jid) || isJidNewsletter(jid),
    // A failed write ends the socket; the library's ten tries would hold the number's lock for 30 s.
    transactionOpts: { maxCommitRetries: 1, delayBetweenTriesMs: 0 },
    ...caches.forDevice(numberId, auth.creds.signedIdentityKey.public),
    ...more,
  });
  const gate = installWriteGate(sock);

  let isEnded = false;
  let isClosing = false;
  const watchdog = setTimeout(
    () => fail(new Error("no sign of life from the server")),
    figures.watchdogMs,
  );
  const hush = keepPresenceQuiet(sock);
  guardFrames(sock, { onBadFrame: (error) => handlers.onBadFrame?.(error), fail });

  function fail(error: Error): void {
    gate.shut();
    if (!isEnded) void sock.end(error);
    // The library waits for the peer's half of the closing handshake; a dead peer never sends it.
    setTimeout(() => rawSocket(sock)?.terminate(), CLOSE_MS).unref();
  }
  function finish(end: ConnectionEnd): void {
    if (isEnded) return;
    isEnded = true;
    clearTimeout(watchdog);
    handlers.onEnd(end);
  }

  // Without this an HTTP error instead of the upgrade raises no event at all. A plain Error on purpose: the
  // library reads status codes off its own errors, and a 401 of a proxy is no logout.
  sock.ws.on("unexpected-response", (_request: unknown, response: { statusCode?: number }) => {
    fail(
      new Error(`the server answered HTTP ${response.statusCode ?? "?"} instead of a WebSocket`),
    );
  });
  // What the event buffer holds would be destroyed with the socket.
  sock.registerSocketEndHandler(() => {
    sock.ev.flush();
  });
  sock.ev.on("connection.update", (update) => {
    if (update.qr !== undefined || update.connection === "open") clearTimeout(watchdog);
    if (update.connection === "close") {
      hush();
      finish(isClosing ? { code: undefined, message: "closed by us" } : endOf(update));
    } else if (!isEnded) {
      handlers.onUpdate(update);
    }
  });

  return {
    sock,
    gate,
    isEnded: () => isEnded,
    fail,
    close: () => {
      isClosing = true;
      fail(new Error("closed by us"));
    },
  };
}

/** The close code and, for a temporary ban, its end. A library error without a code is a dropped connection. */
function endOf(update: Partial<ConnectionState>): ConnectionEnd {
  const error = update.lastDisconnect?.error;
  const boom = error && "output" in error ? error : undefined;
  const data: unknown = boom?.data;
  const expire =
    typeof data === "object" && data !== null && "expire" in data
      ? Number(data.expire)
      : Number.NaN;
  return {
    code: boom?.output.statusCode ?? 428,
    message: error?.message ?? "ended",
    ...(Number.isFinite(expire) ? { until: new Date(Date.now() + expire * 1_000) } : {}),
  };
}

/**
 * Every partial `creds.update` makes Baileys send a bare presence, which is "available": the owner's phone
 * then gets no notifications. An update that carries `me` does not, so each one gets it.
 */
function keepPresenceQuiet(sock: WASocket): () => void {
  const emit = sock.ev.emit.bind(sock.ev);
  sock.ev.emit = (event, data) => {
    const { me } = sock.authState.creds;
    const isBare =
      event === "creds.update" && typeof data === "object" && me !== undefined && !("me" in data);
    return emit(event, isBare ? Object.assign({}, data, { me }) : data);
  };
  return () => {
    sock.ev.emit = emit;
  };
}

/** The library always uploads by https; a simulator without a certificate is spoken to in the clear. */
class PlainAgent extends https.Agent {
  override createConnection(options: net.NetConnectOpts): net.Socket {
    return net.connect(options);
  }
}
const PLAIN_AGENT = new PlainAgent();

/** Even at level silent pino builds the arguments, on hot paths; this does nothing. */
export const SILENT: SocketConfig["logger"] = {
  level: "silent",
  child: () => SILENT,
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
