import { randomInt } from "node:crypto";
import { Curve, generateSignalPubKey } from "@whiskeysockets/baileys";
import { SessionRecord } from "libsignal";
import type { SignalStorage } from "libsignal";
import type { KeyPair } from "./crypto.ts";
import type { KeyBundle } from "./device.ts";
import { signXEdDSA } from "./xeddsa.ts";

type SignedKeys = { keyPair: KeyPair; signature: Uint8Array };

/** What must survive a restart for the phone to stay the same Signal identity. Binary values as base64. */
export type SavedPhoneKeys = {
  identity: SavedPair;
  registrationId: number;
  signedPreKey?: SavedPair & { signature: string };
  preKeys: Record<string, SavedPair>;
  nextPreKeyId: number;
  /** libsignal's own serialised form, by address */
  sessions: Record<string, unknown>;
};
type SavedPair = { public: string; private: string };

const SIGNED_PRE_KEY_ID = 1;
/** clients fetch keys more often than they use them */
const KEPT_PRE_KEYS = 500;

/** The Signal keys and sessions of one phone, and the storage interface libsignal asks for. */
export class PhoneKeys implements SignalStorage {
  readonly identity: KeyPair;
  readonly registrationId: number;
  #signedKeys: SignedKeys | undefined;
  readonly #preKeys = new Map<number, KeyPair>();
  readonly #sessions = new Map<string, SessionRecord>();
  #nextPreKeyId: number;

  constructor(saved?: SavedPhoneKeys) {
    this.identity = saved ? loadPair(saved.identity) : Curve.generateKeyPair();
    this.registrationId = saved?.registrationId ?? randomInt(1, 16_380);
    if (saved?.signedPreKey) {
      this.#signedKeys = {
        keyPair: loadPair(saved.signedPreKey),
        signature: Buffer.from(saved.signedPreKey.signature, "base64"),
      };
    }
    this.#nextPreKeyId = saved?.nextPreKeyId ?? 1;
    for (const [id, pair] of Object.entries(saved?.preKeys ?? {})) {
      this.#preKeys.set(Number(id), loadPair(pair));
    }
    for (const [address, session] of Object.entries(saved?.sessions ?? {})) {
      this.#sessions.set(address, SessionRecord.deserialize(session as Uint8Array));
    }
  }

  save(): SavedPhoneKeys {
    const signed = this.#signedKeys && {
      ...savePair(this.#signedKeys.keyPair),
      signature: Buffer.from(this.#signedKeys.signature).toString("base64"),
    };
    return {
      identity: savePair(this.identity),
      registrationId: this.registrationId,
      ...(signed ? { signedPreKey: signed } : {}),
      preKeys: Object.fromEntries([...this.#preKeys].map(([id, pair]) => [id, savePair(pair)])),
      nextPreKeyId: this.#nextPreKeyId,
      sessions: Object.fromEntries(
        [...this.#sessions].map(([address, session]) => [address, session.serialize()]),
      ),
    };
  }

  /** Made on first use: most phones are never written to. */
  get #signed(): SignedKeys {
    if (!this.#signedKeys) {
      const keyPair = Curve.generateKeyPair();
      const signature = signXEdDSA(this.identity, generateSignalPubKey(keyPair.public));
      this.#signedKeys = { keyPair, signature };
    }
    return this.#signedKeys;
  }

  get identityPublic(): Buffer {
    return Buffer.from(this.identity.public);
  }

  /** Keys for one new session with this phone. */
  bundle(): KeyBundle {
    const id = this.#nextPreKeyId++;
    const pair = Curve.generateKeyPair();
    this.#preKeys.set(id, pair);
    for (const oldest of this.#preKeys.keys()) {
      if (this.#preKeys.size <= KEPT_PRE_KEYS) break;
      this.#preKeys.delete(oldest);
    }
    return {
      registrationId: this.registrationId,
      identity: this.identityPublic,
      signedPreKey: {
        id: SIGNED_PRE_KEY_ID,
        value: Buffer.from(this.#signed.keyPair.public),
        signature: Buffer.from(this.#signed.signature),
      },
      preKey: { id, value: Buffer.from(pair.public) },
    };
  }

  hasOpenSession(address: string): boolean {
    return this.#sessions.get(address)?.haveOpenSession() ?? false;
  }

  /** The next message to anybody opens a session anew; what comes over the old ones cannot be read. */
  forgetSessions(): void {
    this.#sessions.clear();
  }

  dropSession(address: string): void {
    this.#sessions.delete(address);
  }

  loadSession(address: string): Promise<SessionRecord | undefined> {
    return Promise.resolve(this.#sessions.get(address));
  }

  storeSession(address: string, session: SessionRecord): Promise<void> {
    this.#sessions.set(address, session);
    return Promise.resolve();
  }

  isTrustedIdentity(): boolean {
    return true;
  }

  loadPreKey(id: number | string): Promise<SignalPair | undefined> {
    const pair = this.#preKeys.get(Number(id));
    return Promise.resolve(pair && signalPair(pair));
  }

  removePreKey(id: number): void {
    this.#preKeys.delete(id);
  }

  loadSignedPreKey(): SignalPair {
    return signalPair(this.#signed.keyPair);
  }

  getOurRegistrationId(): number {
    return this.registrationId;
  }

  getOurIdentity(): SignalPair {
    return signalPair(this.identity);
  }
}

type SignalPair = { privKey: Buffer; pubKey: Buffer };

function signalPair(pair: KeyPair): SignalPair {
  const pubKey = Buffer.from(generateSignalPubKey(Buffer.from(pair.public)));
  return { privKey: Buffer.from(pair.private), pubKey };
}

function savePair(pair: KeyPair): SavedPair {
  return {
    public: Buffer.from(pair.public).toString("base64"),
    private: Buffer.from(pair.private).toString("base64"),
  };
}

function loadPair(saved: SavedPair): KeyPair {
  return {
    public: Buffer.from(saved.public, "base64"),
    private: Buffer.from(saved.private, "base64"),
  };
}
