/** A connection with stored credentials, and the fenced key store below it. */
import { FencedError } from "@manyline/db";
import type { FileSource, LoginConnection, LoginHandlers, NumberRef } from "../provider.ts";
import type { AuthStore } from "./auth-store.ts";
import { isPaired, packCreds, unpackCreds } from "./credentials.ts";
import { openKeyStore } from "./key-store.ts";
import type { SharedCaches } from "./shared-caches.ts";
import { lineUpMessages, type MessageLine } from "./message-line.ts";
import { installQuietGate } from "./quiet-gate.ts";
import { knownAddress, lookUp } from "./outbound/address.ts";
import { markRead, showTyping } from "./outbound/gestures.ts";
import { lineUpReceipts } from "./outbound/receipts.ts";
import { Sender } from "./outbound/sender.ts";
import { askTimelock, watchTimelock } from "./outbound/timelock.ts";
import { createSignalRepository, type DecryptJournal } from "./signal-repository.ts";
import {
  openSocket,
  type ManagedSocket,
  type SocketFigures,
  type SocketHandlers,
} from "./socket.ts";
import { StanzaIndex } from "./stanzas.ts";

/** How long WhatsApp may take to take note of a logout before the connection is closed all the same. */
const LOGOUT_MS = 5_000;
/** What a login reads after the connection is open, it reads within this time. */
const LOADED_MS = 5_000;

export async function openLogin(
  number: NumberRef,
  store: AuthStore,
  files: FileSource,
  figures: SocketFigures,
  caches: SharedCaches,
  handlers: LoginHandlers,
): Promise<LoginConnection | undefined> {
  const stored = await store.load(number.fence);
  if (!stored.creds) return undefined;
  const creds = unpackCreds(stored.creds);
  if (!isPaired(creds)) return undefined;

  let managed: ManagedSocket | undefined;
  let sender: Sender | undefined;
  const fail = (error: unknown): void => {
    managed?.fail(error instanceof Error ? error : new Error("the store failed"));
  };
  const keyStore = openKeyStore(store, stored, {
    packCreds: () => packCreds(creds),
    onRefused: (error) => {
      if (error instanceof FencedError) handlers.onFenced();
      fail(error);
    },
    onJournaled: (entries) => {
      const receivedAt = new Date();
      handlers.onReceived(entries.map((entry) => ({ ...entry, receivedAt })));
    },
  });
  const stanzas = new StanzaIndex();
  let line: MessageLine | undefined;
  const journal: DecryptJournal = {
    ...keyStore.journal,
    fail,
    passOver: ({ attrs }) => line?.passOver(attrs),
  };

  const socketHandlers: SocketHandlers = {
    onUpdate: (update) => {
      if (update.connection !== "open") return;
      setTimeout(keyStore.forgetLoaded, LOADED_MS).unref();
      handlers.onOpen();
    },
    onEnd: (end) => {
      keyStore.end();
      sender?.end();
      handlers.onClosed(end);
    },
    onBadFrame: (error) => handlers.onBadFrame(error),
  };
  managed = openSocket(
    { creds, keys: keyStore.keys },
    number.numberId,
    figures,
    caches,
    socketHandlers,
    {
      makeSignalRepository: createSignalRepository(stanzas, journal, caches.mappings()),
      getMessage: async ({ id, remoteJid }) => {
        const send = id ? await handlers.findSent(id) : undefined;
        return send && remoteJid ? sender?.repeat(send, remoteJid) : undefined;
      },
    },
  );
  const { sock, gate: writes, close: closeSocket } = managed;
  const identity = () => ({ id: creds.me?.id, lid: creds.me?.lid });
  sender = new Sender(sock, {
    onPerson: (person) => handlers.onPerson(person),
    fail,
    openFile: (send) => files.open(number, send),
  });
  const gate = installQuietGate(sock, handlers.isQuiet);
  sock.ev.on("creds.update", saver(keyStore.saveCreds));
  line = lineUpMessages(sock, handlers.isQuiet, (node) => {
    const bare = stanzas.note(node, identity());
    if (!bare) return;
    // The library acknowledges it without asking us; nothing leaves before it is stored that it came.
    writes.hold();
    journal.noteMissing(bare.hash, bare.part).then(
      () => {
        writes.release();
        line?.passOver(bare.part.attrs);
        return undefined;
      },
      // The connection is being ended.
      () => undefined,
    );
  });
  const receipts = lineUpReceipts(sock, identity, handlers.isQuiet, (found) =>
    handlers.onReceipts(found),
  );
  watchTimelock(sock, (timelock) => handlers.onTimelock(timelock));
  const close = (): void => {
    keyStore.end();
    sender?.end();
    closeSocket();
  };

  return {
    isRepeatable: true,
    close,
    heard: () => {
      line?.heard();
      receipts.heard();
      gate.heard();
    },
    send: (send) => sender.send(send),
    askTimelock: () => askTimelock(sock),
    checkPhones: async (phones) =>
      (await lookUp(sock, phones)).map(({ phone, isOnWhatsapp, lid }) => ({
        phone,
        isOnWhatsapp,
        lid,
      })),
    markRead: (chat, messages) => markRead(sock, knownAddress(chat), messages),
    showTyping: (chat, state) => showTyping(sock, knownAddress(chat), state),
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
function saver(save: () => Promise<void>): () => void {
  let isSaving = false;
  let isDirty = false;
  const run = async (): Promise<void> => {
    isSaving = true;
    try {
      while (isDirty) {
        isDirty = false;
        await save();
      }
    } catch {
      // The key store has told its owner.
    } finally {
      isSaving = false;
    }
  };
  return () => {
    isDirty = true;
    if (!isSaving) void run();
  };
}
