/** A connection with stored credentials, and the fenced key store below it. */
import { parsePhone } from "@manyline/contracts";
import {
  FencedError,
  readAuth,
  readKeys,
  writeAuth,
  type Database,
  type Keyring,
} from "@manyline/db";
import { jidDecode, type SignalDataTypeMap, type SignalKeyStore } from "@whiskeysockets/baileys";
import type { LoginConnection, LoginHandlers, NumberRef } from "../provider.ts";
import { isPaired, packCreds, packKeys, unpackCreds, unpackKey } from "./credentials.ts";
import type { SharedCaches } from "./shared-caches.ts";
import { openSocket, type ManagedSocket, type SocketFigures } from "./socket.ts";

export type AuthStore = { db: Database; keyring: Keyring };

/** How long WhatsApp may take to take note of a logout before the connection is closed all the same. */
const LOGOUT_MS = 5_000;

export async function openLogin(
  number: NumberRef,
  store: AuthStore,
  figures: SocketFigures,
  caches: SharedCaches,
  handlers: LoginHandlers,
): Promise<LoginConnection | undefined> {
  const stored = await readAuth(store.db, store.keyring, number.fence);
  if (!stored.creds) return undefined;
  const creds = unpackCreds(stored.creds);
  if (!isPaired(creds)) return undefined;

  let managed: ManagedSocket | undefined;
  const refuse = (error: unknown): void => {
    if (error instanceof FencedError) handlers.onFenced();
    managed?.fail(error instanceof Error ? error : new Error("a write failed"));
  };
  const write = (keys: ReturnType<typeof packKeys>, withCreds: boolean): Promise<void> =>
    writeAuth(store.db, store.keyring, number.fence, {
      ...(withCreds ? { creds: packCreds(creds) } : {}),
      keys,
    });

  managed = openSocket({ creds, keys: keyStore() }, number.numberId, figures, caches, {
    onUpdate: (update) => {
      if (update.connection !== "open") return;
      const phone = parsePhone(`+${jidDecode(creds.me?.id)?.user ?? ""}`);
      if (phone === undefined) managed?.fail(new Error("the device has no phone number"));
      else handlers.onOpen({ phone });
    },
    onEnd: handlers.onClosed,
  });
  managed.sock.ev.on(
    "creds.update",
    saver(() => write([], true), refuse),
  );

  function keyStore(): SignalKeyStore {
    return {
      get: async <Kind extends keyof SignalDataTypeMap>(kind: Kind, ids: string[]) => {
        const rows = await readKeys(store.db, store.keyring, number.fence, kind, ids);
        const found: { [id: string]: SignalDataTypeMap[Kind] } = {};
        for (const [id, bytes] of rows) found[id] = unpackKey(kind, bytes);
        return found;
      },
      set: async (data) => {
        // The counter of pre-key ids and the pre-keys themselves must not part: ids used twice cannot be opened.
        const makesPreKeys = Object.values(data["pre-key"] ?? {}).some((value) => value !== null);
        try {
          await write(packKeys(data), makesPreKeys);
        } catch (error) {
          refuse(error);
          throw error;
        }
      },
    };
  }

  return {
    close: managed.close,
    logout: async () => {
      // The library's own logout closes without waiting; here WhatsApp gets the time to take note.
      const request = managed.sock.query(
        {
          tag: "iq",
          attrs: { to: "@s.whatsapp.net", type: "set", xmlns: "md" },
          content: [
            {
              tag: "remove-companion-device",
              attrs: { jid: creds.me?.id ?? "", reason: "user_initiated" },
            },
          ],
        },
        LOGOUT_MS,
      );
      const isTold = await request.then(
        (answer) => answer !== undefined,
        // No answer, or a connection that closed first: the device may still be listed on the phone.
        () => false,
      );
      managed.close();
      return isTold;
    },
  };
}

/** Saves the latest state, one save at a time; calls during a save lead to one more. */
function saver(save: () => Promise<void>, onError: (error: unknown) => void): () => void {
  let isSaving = false;
  let isDirty = false;
  const run = async (): Promise<void> => {
    isSaving = true;
    try {
      while (isDirty) {
        isDirty = false;
        await save();
      }
    } catch (error) {
      onError(error);
    } finally {
      isSaving = false;
    }
  };
  return () => {
    isDirty = true;
    if (!isSaving) void run();
  };
}
