/** Baileys' credentials and Signal keys as bytes for the database, and back. */
import {
  BufferJSON,
  proto,
  type AuthenticationCreds,
  type SignalDataSet,
  type SignalDataTypeMap,
  type SignalKeyStore,
} from "@whiskeysockets/baileys";

/** Only credentials with `me` and `account` belong to a linked device; others are never stored. */
export function isPaired(creds: AuthenticationCreds): boolean {
  return creds.me !== undefined && creds.account !== undefined;
}

export function packCreds(creds: AuthenticationCreds): Buffer {
  return Buffer.from(JSON.stringify(creds, BufferJSON.replacer));
}

export function unpackCreds(bytes: Buffer): AuthenticationCreds {
  return JSON.parse(bytes.toString(), BufferJSON.reviver) as AuthenticationCreds;
}

export type KeyWrite = { kind: string; key: string; value: Buffer | null };

/** One call of the key store's `set`, flattened; null deletes. */
export function packKeys(data: SignalDataSet): KeyWrite[] {
  return Object.entries(data).flatMap(([kind, values]) =>
    Object.entries(values ?? {}).map(([key, value]) => ({
      kind,
      key,
      value: value === null ? null : Buffer.from(JSON.stringify(value, BufferJSON.replacer)),
    })),
  );
}

export function unpackKey<Kind extends keyof SignalDataTypeMap>(
  kind: Kind,
  bytes: Buffer,
): SignalDataTypeMap[Kind] {
  const text = bytes.toString();
  // A ratchet is text through and through, and needed for each message; looking at its every field costs 0.15 ms.
  const isPlain = kind === "session" && !text.includes('"Buffer"');
  const value: unknown = isPlain ? JSON.parse(text) : JSON.parse(text, BufferJSON.reviver);
  // A plain object would keep its byte fields as base64 text, and every app-state sync would fail to decrypt.
  const revived =
    kind === "app-state-sync-key"
      ? proto.Message.AppStateSyncKeyData.fromObject(value as Record<string, unknown>)
      : value;
  return revived as SignalDataTypeMap[Kind];
}

/** A key store in memory, for the time before the phone has accepted. */
export function memoryKeys(): SignalKeyStore {
  const values = new Map<string, unknown>();
  return {
    get: <Kind extends keyof SignalDataTypeMap>(kind: Kind, ids: string[]) => {
      const found: { [id: string]: SignalDataTypeMap[Kind] } = {};
      for (const id of ids) {
        const value = values.get(`${kind}/${id}`);
        if (value !== undefined) found[id] = value as SignalDataTypeMap[Kind];
      }
      return found;
    },
    set: (data) => {
      for (const [kind, entries] of Object.entries(data)) {
        for (const [id, value] of Object.entries(entries ?? {})) values.set(`${kind}/${id}`, value);
      }
    },
  };
}
