import type { WebSocket } from "ws";
import { Account } from "./account.ts";
import { signCompanion } from "./adv.ts";
import { createServerIdentity } from "./certificate.ts";
import type { ServerIdentity } from "./certificate.ts";
import { Connection } from "./connection.ts";
import type { KeyPair } from "./crypto.ts";
import { Device } from "./device.ts";
import type { Registration } from "./device.ts";
import { Directory } from "./directory.ts";
import { TypedEvents } from "./events.ts";
import { Faults } from "./faults.ts";
import { isMsisdn, LID_SERVER, parseJid } from "./jid.ts";
import { DEFAULT_OPTIONS } from "./options.ts";
import type { PhoneOptions, ServerOptions } from "./options.ts";
import { dropCode } from "./pairing-code-server.ts";
import type { CodeRequest } from "./pairing-code.ts";
import type { Phone } from "./phone.ts";
import type { Group } from "./messages/group.ts";
import type { ReceivedMessage } from "./messages/inbox.ts";
import { MediaStore } from "./messages/media.ts";
import { RecentSet } from "./messages/recent-set.ts";
import { PreKeyPool } from "./pre-keys.ts";
import { ConnectionRecord } from "./record.ts";
import type { Stanza } from "./stanza.ts";

type Traffic = { connection: Connection; stanza: Stanza };

export type ServerEvents = {
  /** a handshake is over; the connection has payload and static key */
  payload: Connection;
  closed: Connection;
  in: Traffic;
  out: Traffic;
  ack: Traffic;
  receipt: Traffic;
  presence: Traffic;
  "code-requested": { account: Account; connection: Connection; display: string };
  "passkey-requested": Connection;
  "pre-keys": { device: Device; count: number };
  /** a phone could read a message; also for a repetition, which the message counts */
  message: { phone: Phone; message: ReceivedMessage };
  /** a phone could not, and asks for another copy */
  undecryptable: { phone: Phone; id: string; error: unknown };
  linked: Device;
  unlinked: Device;
  login: Device;
  /** login is over and stanzas flow */
  live: Device;
  "phone-changed": Account;
  unhandled: Stanza;
  error: Error;
};

/** At most this many are kept for assertions; the counters go on. */
const KEPT_REPORTS = 200;

/** The simulated WhatsApp: accounts, devices, connections. Knows no HTTP and opens no port. */
export class WhatsAppServer {
  readonly options: ServerOptions;
  readonly identity: ServerIdentity;
  readonly directory = new Directory();
  readonly events = new TypedEvents<ServerEvents>();
  readonly faults = new Faults();
  readonly connections = new Set<Connection>();
  /** logins and what overlapped; see `GET /record` */
  readonly record = new ConnectionRecord();
  /** QR ref → the connection that shows it */
  readonly refs = new Map<string, Connection>();
  /** phone → its pairing-code request */
  readonly codes = new Map<string, CodeRequest>();
  /** by address */
  readonly groups = new Map<string, Group>();
  readonly media = new MediaStore();
  /** `sender id` of messages that somebody asked to have again */
  readonly retried = new RecentSet(20_000);
  /** host and port under which clients reach the files; from the newest connection */
  mediaHost = "127.0.0.1";
  /** stanzas nobody answered; a test asserts that it stays empty */
  readonly unhandled: Stanza[] = [];
  readonly errors: Error[] = [];
  readonly stats = {
    connections: 0,
    registrations: 0,
    logins: 0,
    hellos: 0,
    links: 0,
    replaced: 0,
    /** from clients */
    messagesIn: 0,
    /** copies for clients */
    messagesOut: 0,
    /** read by phones */
    phoneMessages: 0,
    /** requests for another copy, by phones and by clients */
    phoneRetries: 0,
    clientRetries: 0,
    unhandled: 0,
    errors: 0,
  };
  /** grows with every change that a state file would have to hold */
  revision = 0;

  /** @param rootKey signs the certificate chain; clients must trust its public half */
  constructor(options: Partial<ServerOptions> = {}, rootKey?: KeyPair) {
    this.options = { ...DEFAULT_OPTIONS, ...options };
    this.identity = createServerIdentity(rootKey);
  }

  /** hex, as `WA_CERT_DETAILS.PUBLIC_KEY` needs it after decoding */
  get rootPublicKey(): string {
    return Buffer.from(this.identity.rootKey.public).toString("hex");
  }

  /** A time of the protocol, shortened by the option `speed`. */
  scaled(ms: number): number {
    return ms / this.options.speed;
  }

  mediaUrl(file: string): string {
    return `http://${this.mediaHost}/media/${file}`;
  }

  touch(): void {
    this.revision++;
  }

  /** @param label names the client in the record of connections */
  accept(socket: WebSocket, label: string | null = null): void {
    const id = ++this.stats.connections;
    this.connections.add(new Connection(this, socket, id, label));
  }

  /** The account of a number, made if need be. */
  account(phone: string, name?: string): Account {
    const known = this.directory.get(phone);
    if (known) return known;
    const account = new Account(this, phone, name ?? `User ${phone}`);
    account.exists = this.options.autoAccounts;
    this.directory.add(account);
    this.touch();
    return account;
  }

  /** A phone that certainly has WhatsApp. */
  phone(phone: string, name?: string): Phone {
    const account = this.account(phone, name);
    account.exists = true;
    return account.primary;
  }

  optionsOf(phone: string): PhoneOptions {
    return this.directory.get(phone)?.options ?? this.options;
  }

  /** The account behind an address, if it has WhatsApp. */
  find(jid: string): Account | undefined {
    const known = this.directory.find(jid);
    if (known) return known.exists ? known : undefined;
    const { user, server } = parseJid(jid);
    const isNew = this.options.autoAccounts && server !== LID_SERVER && isMsisdn(user);
    return isNew ? this.account(user) : undefined;
  }

  addDevice(device: Device): void {
    device.account.devices.set(device.id, device);
    this.touch();
  }

  removeDevice(device: Device): void {
    device.account.devices.delete(device.id);
    this.touch();
    this.events.emit("unlinked", device);
    this.events.emit("phone-changed", device.account);
  }

  /**
   * Registers a device without the linking dialogue, for load tests: takes the public half of a client's
   * credentials and gives back what linking would have written into them.
   * @param preKeys packed, 35 bytes each: id (3), public key (32)
   */
  adopt(phone: string, registration: Registration, preKeys: Buffer) {
    const { account } = this.phone(phone);
    const pool = new PreKeyPool(preKeys);
    const { name } = account;
    const keyIndex = account.nextKeyIndex++;
    const id = account.nextDeviceId++;
    const { identity } = registration;
    const proof = { identity, advSecret: Buffer.alloc(32), keyIndex };
    const signed = signCompanion(account.primary.keys.identity, proof);
    const linkedAt = Date.now();
    const device = new Device(account, { ...registration, id, keyIndex, linkedAt, greeted: true });
    device.preKeys = pool;
    this.addDevice(device);
    return { device, me: { id: device.pnJid, lid: device.lidJid, name }, signed };
  }

  dropRefs(connection: Connection): void {
    for (const ref of connection.refs) this.refs.delete(ref);
    connection.refs = [];
  }

  /** A connection closed: its refs and its code die with it. */
  forget(connection: Connection): void {
    this.connections.delete(connection);
    this.dropRefs(connection);
    const changed = connection.device?.account ?? connection.code?.account;
    dropCode(connection.code);
    if (connection.device?.connection === connection) connection.device.connection = undefined;
    this.events.emit("closed", connection);
    if (changed) this.events.emit("phone-changed", changed);
  }

  reportUnhandled(stanza: Stanza): void {
    this.stats.unhandled++;
    this.unhandled.push(stanza);
    if (this.unhandled.length > KEPT_REPORTS) this.unhandled.shift();
    this.events.emit("unhandled", stanza);
  }

  reportError(cause: unknown): void {
    const error = cause instanceof Error ? cause : new Error(String(cause));
    this.stats.errors++;
    this.errors.push(error);
    if (this.errors.length > KEPT_REPORTS) this.errors.shift();
    this.events.emit("error", error);
  }
}
