import type { proto } from "@whiskeysockets/baileys";
import type { RawData, WebSocket } from "ws";
import { CompanionRefresh } from "./companion-refresh.ts";
import type { Delivery } from "./delivery.ts";
import type { Device, Registration } from "./device.ts";
import type { PendingLink } from "./linking.ts";
import { NoiseServerStream } from "./noise-server.ts";
import { LINK_STEP_MS } from "./options.ts";
import type { CodeRequest } from "./pairing-code.ts";
import { PhoneError } from "./phone-error.ts";
import type { ClosedBy, OpenLogin } from "./record.ts";
import { startStream } from "./stream-start.ts";
import { handleStanza } from "./stanza-router.ts";
import type { WhatsAppServer } from "./server.ts";
import { el, SERVER_JID } from "./stanza.ts";
import type { Stanza } from "./stanza.ts";

/** Waits of the phone are never shorter than this, whatever the speed: the client's machine is not faster. */
const SHORTEST_STEP_MS = 2_000;

/** Something one side waits for; ends with `couldnt_link_try_again` when time or the connection runs out. */
export type Step<T> = {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
};

/** One WebSocket connection of a client, from handshake to close. */
export class Connection {
  readonly server: WhatsAppServer;
  /** counts from 1 per server */
  readonly id: number;
  /** `label` in the query of the address the client called */
  readonly label: string | null;
  /** from the handshake */
  payload: proto.ClientPayload | undefined;
  staticKey: Buffer = Buffer.alloc(0);
  /** set while the client is not linked yet */
  registration: Registration | undefined;
  refs: string[] = [];
  /** id of the `pair-device` iq: its result means that the client has drawn a QR */
  pairDeviceId: string | undefined;
  code: CodeRequest | undefined;
  linking: PendingLink | undefined;
  passkeyOptions: string | undefined;
  /** set after login */
  device: Device | undefined;
  delivery: Delivery | undefined;
  login: OpenLogin | undefined;
  /** nothing arrives and nothing leaves any more, but the connection stays open */
  isBlackhole = false;
  readonly #socket: WebSocket;
  readonly #noise: NoiseServerStream;
  readonly #steps = new Set<{ reject(error: Error): void }>();
  #refresh: CompanionRefresh | undefined;
  /** set once this side has ended the stream */
  #closedBy: ClosedBy | undefined;

  constructor(server: WhatsAppServer, socket: WebSocket, id: number, label: string | null) {
    this.server = server;
    this.id = id;
    this.label = label;
    this.#socket = socket;
    this.#noise = new NoiseServerStream(server.identity, {
      write: (data) => this.#write(data),
      onPayload: (payload, staticKey) => {
        this.payload = payload;
        this.staticKey = staticKey;
        startStream(this, payload);
      },
      onStanza: (stanza) => this.#stanza(stanza),
      onError: (error) => this.#protocolError(error),
    });
    socket.on("message", (data) => this.#receive(data));
    socket.on("error", () => undefined); // 'close' follows
    socket.on("close", () => this.#closed());
  }

  /** made on first use: only a client that is not linked yet has one */
  get refresh(): CompanionRefresh {
    return (this.#refresh ??= new CompanionRefresh(this));
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  /** the routing prefix of this connection: the client's copy of an `edge_routing` */
  get routingInfo(): Buffer | undefined {
    return this.#noise.routingInfo;
  }

  send(stanza: Stanza): void {
    if (!this.isOpen) return;
    this.server.events.emit("out", { connection: this, stanza });
    this.#noise.send(stanza);
  }

  /** Writes a stanza of the device's queue, if the client is ready for it. */
  deliver(stanza: Stanza): void {
    this.delivery?.deliver(stanza);
  }

  reply(iq: Stanza, content?: Stanza[]): void {
    const attrs = { from: iq.attrs["to"] ?? SERVER_JID, type: "result", id: iq.attrs["id"] ?? "" };
    this.send(el("iq", attrs, content));
  }

  replyError(iq: Stanza, code: number, text: string): void {
    const attrs = { from: iq.attrs["to"] ?? SERVER_JID, type: "error", id: iq.attrs["id"] ?? "" };
    this.send(el("iq", attrs, [el("error", { code: String(code), text })]));
  }

  /** Refuses the stream at its start. */
  fail(attrs: Record<string, string>): void {
    this.send(el("failure", attrs));
    this.close();
  }

  streamError(attrs: Record<string, string>, content?: Stanza[]): void {
    this.send(el("stream:error", attrs, content));
    this.close();
  }

  /** Somebody else has logged in with the same credentials. */
  replaced(): void {
    this.#closedBy ??= "replaced";
    this.streamError({}, [el("conflict", { type: "replaced" })]);
  }

  close(code?: number): void {
    this.#closedBy ??= "server";
    this.#socket.close(code);
  }

  /** Cuts the TCP connection without a word. */
  drop(): void {
    this.#closedBy ??= "dropped";
    this.#socket.terminate();
  }

  /** Waits for the client's next step of linking. */
  step<T>(): Step<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const ms = Math.max(SHORTEST_STEP_MS, this.server.scaled(LINK_STEP_MS));
    const end = (finish: () => void) => {
      clearTimeout(timer);
      this.#steps.delete(step);
      finish();
    };
    const step: Step<T> = {
      promise,
      resolve: (value) => end(() => resolve(value)),
      reject: (error) => end(() => reject(error)),
    };
    const timer = setTimeout(() => step.reject(new PhoneError("couldnt_link_try_again")), ms);
    if (this.isOpen) this.#steps.add(step);
    else step.reject(new PhoneError("couldnt_link_try_again"));
    return step;
  }

  #write(data: Buffer): void {
    if (this.isOpen && !this.isBlackhole) this.#socket.send(data);
  }

  #receive(data: RawData): void {
    if (this.isBlackhole) return;
    try {
      this.#noise.receive(Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer));
    } catch (error) {
      this.#protocolError(error);
    }
  }

  /** After the end of the stream nothing is acted on any more; the record still counts it. */
  #stanza(stanza: Stanza): void {
    const isLate = this.login?.count(kindOf(stanza)) ?? false;
    if (!isLate && this.#closedBy === undefined) handleStanza(this, stanza);
  }

  /** What cannot be decrypted or decoded ends the connection, as nothing after it could be. */
  #protocolError(error: unknown): void {
    this.server.reportError(error);
    this.drop();
  }

  #closed(): void {
    for (const step of this.#steps) step.reject(new PhoneError("couldnt_link_try_again"));
    if (this.login) this.server.record.close(this.login, this.#closedBy ?? "client");
    this.server.forget(this);
  }
}

/** such as `message` and `iq w:p` */
function kindOf({ tag, attrs }: Stanza): string {
  return attrs["xmlns"] === undefined ? tag : `${tag} ${attrs["xmlns"]}`;
}
