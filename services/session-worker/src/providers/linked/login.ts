/** A connection with stored credentials, and the fenced key store below it. */
import { FencedError } from "@manyline/db";
import type { LoginConnection, LoginHandlers, NumberRef } from "../provider.ts";
import type { AuthStore } from "./auth-store.ts";
import { isPaired, packCreds, unpackCreds } from "./credentials.ts";
import { openKeyStore } from "./key-store.ts";
import type { SharedCaches } from "./shared-caches.ts";
import { installQuietGate } from "./quiet-gate.ts";
import { openSocket, type ManagedSocket, type SocketFigures } from "./socket.ts";

/** How long WhatsApp may take to take note of a logout before the connection is closed all the same. */
const LOGOUT_MS = 5_000;
/** What a login reads after the connection is open, it reads within this time. */
const LOADED_MS = 5_000;

export async function openLogin(
  number: NumberRef,
  store: AuthStore,
  figures: SocketFigures,
  caches: SharedCaches,
  handlers: LoginHandlers,
): Promise<LoginConnection | undefined> {
  const stored = await store.load(number.fence);
  if (!stored.creds) return undefined;
  const creds = unpackCreds(stored.creds);
  if (!isPaired(creds)) return undefined;

  let managed: ManagedSocket | undefined;
  const refuse = (error: unknown): void => {
    if (error instanceof FencedError) handlers.onFenced();
    managed?.fail(error instanceof Error ? error : new Error("a write failed"));
  };
  const keyStore = openKeyStore(store, stored, () => packCreds(creds), refuse);

  managed = openSocket({ creds, keys: keyStore.keys }, number.numberId, figures, caches, {
    onUpdate: (update) => {
      if (update.connection !== "open") return;
      setTimeout(keyStore.forgetLoaded, LOADED_MS).unref();
      handlers.onOpen();
    },
    onEnd: (end) => {
      keyStore.end();
      handlers.onClosed(end);
    },
  });
  const gate = installQuietGate(managed.sock, handlers.isQuiet);
  managed.sock.ev.on("creds.update", saver(keyStore.saveCreds, refuse));
  const { sock, close: closeSocket } = managed;
  const close = (): void => {
    keyStore.end();
    closeSocket();
  };

  return {
    close,
    heard: gate.heard,
    logout: async () => {
      // The library's own logout closes without waiting; here WhatsApp gets the time to take note.
      const request = sock.query(
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
      close();
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
