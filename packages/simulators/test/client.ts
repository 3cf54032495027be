import { EventEmitter } from "node:events";
import {
  BufferJSON,
  DEFAULT_CONNECTION_CONFIG,
  initAuthCreds,
  makeWASocket,
  WA_CERT_DETAILS,
} from "@whiskeysockets/baileys";
import type {
  AuthenticationCreds,
  SignalDataSet,
  SignalKeyStore,
  UserFacingSocketConfig,
  WASocket,
} from "@whiskeysockets/baileys";
import type { Phone, WhatsAppServer } from "../src/index.ts";

// A user of the unmodified Baileys: root key, auth state in memory, one socket per connection.

type Logger = UserFacingSocketConfig["logger"];

/**
 * rc14 never clears the 30 s timer that guards its first key upload, nor the time limits of queries whose socket
 * has ended. Left alone they keep each test process alive that long, so long timers do not hold this process.
 */
const LONG_TIMER_MS = 4_000;
const plainSetTimeout = globalThis.setTimeout;
globalThis.setTimeout = Object.assign(
  ((run: () => void, ms?: number, ...args: []) => {
    const timer = plainSetTimeout(run, ms, ...args);
    return (ms ?? 0) >= LONG_TIMER_MS ? timer.unref() : timer;
  }) as typeof setTimeout,
  plainSetTimeout,
);

export function trustRoot(rootPublicKey: string): void {
  WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(rootPublicKey, "hex");
}

type Stored = { creds: AuthenticationCreds; keys: Record<string, Record<string, unknown>> };

/** Auth state in memory. `copy()` goes through JSON, as a database would. */
export class MemoryAuth {
  readonly data: Stored;

  constructor(saved?: string) {
    this.data = saved
      ? (JSON.parse(saved, BufferJSON.reviver) as Stored)
      : { creds: initAuthCreds(), keys: {} };
  }

  get creds(): AuthenticationCreds {
    return this.data.creds;
  }

  get state(): { creds: AuthenticationCreds; keys: SignalKeyStore } {
    const { keys } = this.data;
    const get = (type: string, ids: string[]) => {
      const table = keys[type] ?? {};
      return Object.fromEntries(ids.filter((id) => id in table).map((id) => [id, table[id]]));
    };
    const set = (update: SignalDataSet) => {
      for (const [type, rows] of Object.entries(update)) {
        const table = (keys[type] ??= {});
        for (const [id, value] of Object.entries(rows ?? {})) {
          if (value === null) delete table[id];
          else table[id] = value;
        }
      }
    };
    return { creds: this.data.creds, keys: { get: get as SignalKeyStore["get"], set } };
  }

  copy(): MemoryAuth {
    return new MemoryAuth(JSON.stringify(this.data, BufferJSON.replacer));
  }
}

const ignore = () => undefined;

export type Closed = { code: number | undefined; message: string | undefined; data: unknown };
type ConnectOptions = Partial<UserFacingSocketConfig>;

/** One connection: a Baileys socket never reconnects by itself. */
export class Client {
  readonly auth: MemoryAuth;
  readonly sock: WASocket;
  readonly qrs: string[] = [];
  readonly warnings: string[] = [];
  isOpen = false;
  isNewLogin = false;
  historySets = 0;
  closed: Closed | undefined;
  readonly #events = new EventEmitter();

  constructor(url: string, auth = new MemoryAuth(), options: ConnectOptions = {}) {
    this.auth = auth;
    this.sock = makeWASocket({
      ...DEFAULT_CONNECTION_CONFIG,
      auth: auth.state,
      waWebSocketUrl: url,
      logger: this.#logger(),
      browser: ["Mac OS", "Chrome", "14.4.1"],
      connectTimeoutMs: 5000,
      defaultQueryTimeoutMs: 10_000,
      ...options,
    });
    this.sock.ev.on("connection.update", (update) => {
      if (update.qr) this.qrs.push(update.qr);
      if (update.isNewLogin) this.isNewLogin = true;
      if (update.connection === "open") this.isOpen = true;
      if (update.connection === "close") {
        const error = update.lastDisconnect?.error as
          | { message?: string; data?: unknown; output?: { statusCode?: number } }
          | undefined;
        this.closed = {
          code: error?.output?.statusCode,
          message: error?.message,
          data: error?.data,
        };
      }
      this.#events.emit("change");
    });
    this.sock.ev.on("messaging-history.set", () => {
      this.historySets++;
      this.#events.emit("change");
    });
  }

  /** Waits until `probe` gives something other than undefined or false. */
  async until<T>(what: string, probe: () => T | undefined | false, ms = 15_000): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const check = () => {
      const value = probe();
      if (value !== undefined && value !== false) resolve(value);
    };
    const timer = setTimeout(
      () => reject(new Error(`client: no ${what}; closed: ${JSON.stringify(this.closed)}`)),
      ms,
    );
    const poll = setInterval(check, 20);
    this.#events.on("change", check);
    try {
      check();
      return await promise;
    } finally {
      clearTimeout(timer);
      clearInterval(poll);
      this.#events.off("change", check);
    }
  }

  /** the n-th QR of this connection, from 0 */
  qr(index = 0): Promise<string> {
    return this.until(`qr ${index}`, () => this.qrs[index]);
  }

  open(): Promise<true> {
    return this.until("open", () => this.isOpen && true);
  }

  close(ms?: number): Promise<Closed> {
    return this.until("close", () => this.closed, ms);
  }

  /** Ends the socket if it is still there, and waits for its end. */
  async end(): Promise<void> {
    if (!this.closed) void this.sock.end(undefined);
    await this.close();
  }

  #logger(): NonNullable<Logger> {
    const keep = (fields: unknown, text?: string) => {
      this.warnings.push(text ?? (typeof fields === "string" ? fields : JSON.stringify(fields)));
    };
    const logger: NonNullable<Logger> = {
      level: "warn",
      child: () => logger,
      trace: ignore,
      debug: ignore,
      info: ignore,
      warn: keep,
      error: keep,
    };
    return logger;
  }
}

/** Links by QR and comes back with an open session. */
export async function linkByQr(
  url: string,
  phone: Phone,
  options: ConnectOptions = {},
): Promise<Client> {
  const first = new Client(url, new MemoryAuth(), options);
  const [device] = await Promise.all([first.qr().then((qr) => phone.scan(qr)), first.close()]);
  if (first.closed?.code !== 515) throw new Error(`expected 515, got ${first.closed?.code}`);
  const live = phone.account.server.events.once("live", (each) => each === device);
  const second = new Client(url, first.auth, options);
  await Promise.all([second.open(), live]);
  return second;
}

/** What the server could not answer, and its own errors: both must stay empty in every test. */
export function troubles(server: WhatsAppServer): string[] {
  const stanzas = server.unhandled.map(({ tag, attrs }) => `${tag} ${JSON.stringify(attrs)}`);
  return [...stanzas, ...server.errors.map((error) => error.message)];
}
