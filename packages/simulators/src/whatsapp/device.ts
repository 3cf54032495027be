import type { Account } from "./account.ts";
import type { Connection } from "./connection.ts";
import { stanzaId } from "./crypto.ts";
import { lidJid, pnJid } from "./jid.ts";
import { PreKeyPool } from "./pre-keys.ts";
import type { PreKey, SignedPreKey } from "./pre-keys.ts";
import { el, SERVER_JID, unixNow } from "./stanza.ts";
import type { Stanza } from "./stanza.ts";

/** Keys that let somebody encrypt for a device without asking it. */
export type KeyBundle = {
  registrationId: number;
  identity: Buffer;
  signedPreKey: SignedPreKey;
  preKey: PreKey | undefined;
};

/** What a client tells about itself when it registers. */
export type Registration = {
  /** Noise static key: proves a later login */
  noiseKey: Buffer;
  identity: Buffer;
  registrationId: number;
  signedPreKey: SignedPreKey;
  /** `DeviceProps.os`: what the phone lists under Linked devices */
  displayName: string;
  /** `DeviceProps.PlatformType`, such as CHROME */
  platform: string;
};

export type DeviceFields = Registration & {
  id: number;
  keyIndex: number;
  linkedAt: number;
  /** the phone has sent app-state key and history */
  greeted: boolean;
};

/** A count of one-time keys at which the client is told to upload more. */
const PRE_KEYS_LOW = 5;

/** A linked device (a companion) of an account. Device 0 is the phone itself. */
export class Device implements DeviceFields {
  readonly account: Account;
  readonly id: number;
  readonly keyIndex: number;
  readonly noiseKey: Buffer;
  readonly identity: Buffer;
  readonly registrationId: number;
  readonly displayName: string;
  readonly platform: string;
  readonly linkedAt: number;
  signedPreKey: SignedPreKey;
  preKeys = new PreKeyPool();
  greeted: boolean;
  /** stanzas the client has not acknowledged yet, oldest first, by a number of their own */
  readonly pending = new Map<number, Stanza>();
  #pushed = 0;
  connection: Connection | undefined;

  constructor(account: Account, fields: DeviceFields) {
    this.account = account;
    this.id = fields.id;
    this.keyIndex = fields.keyIndex;
    this.noiseKey = fields.noiseKey;
    this.identity = fields.identity;
    this.registrationId = fields.registrationId;
    this.signedPreKey = fields.signedPreKey;
    this.displayName = fields.displayName;
    this.platform = fields.platform;
    this.linkedAt = fields.linkedAt;
    this.greeted = fields.greeted;
  }

  get pnJid(): string {
    return pnJid(this.account.phone, this.id);
  }

  get lidJid(): string {
    return lidJid(this.account.lid, this.id);
  }

  /** Hands out the keys for one new session and spends a one-time key. */
  bundle(): KeyBundle {
    const { registrationId, identity, signedPreKey } = this;
    const preKey = this.preKeys.take();
    if (this.preKeys.size === PRE_KEYS_LOW - 1) this.askForPreKeys(this.preKeys.size);
    this.account.server.touch();
    return { registrationId, identity, signedPreKey, preKey };
  }

  /** Says that few one-time keys are left. Clients upload five more when `count` is below five. */
  askForPreKeys(count: number): void {
    this.push(preKeysLow(count));
  }

  /** Keeps the stanza until the client acknowledges it, and writes it at once if the client is live. */
  push(stanza: Stanza): void {
    this.pending.set(this.#pushed++, stanza);
    this.connection?.deliver(stanza);
    this.account.server.touch();
  }

  /**
   * A receipt or an ack of the client settles a stanza: the server forgets it. When a message was sent again
   * with the same id, one answer settles one of them, the older first.
   */
  settle(tag: string, id: string): Stanza | undefined {
    for (const [key, stanza] of this.pending) {
      if (stanza.tag !== tag || stanza.attrs["id"] !== id) continue;
      this.pending.delete(key);
      this.account.server.touch();
      return stanza;
    }
    return undefined;
  }
}

function preKeysLow(count: number): Stanza {
  return el(
    "notification",
    { from: SERVER_JID, type: "encrypt", id: stanzaId(), t: String(unixNow()) },
    [el("count", { value: String(count) })],
  );
}
