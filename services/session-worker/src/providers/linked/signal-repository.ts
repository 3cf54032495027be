/**
 * Baileys' Signal repository, made safe. Out of the box a ratchet step is committed before the application
 * hears of the message, so a crash in between loses it; and a send and a receive of the same contact step the
 * ratchet under different locks, so that one overwrites the other. Here
 *
 * - plaintext and ratchet are committed in one write, before the receipt leaves;
 * - a part that WhatsApp delivers again is answered from the journal: its keys are used up;
 * - every step of a contact's device runs under one lock, outside whatever transaction the caller is in, and
 *   answers only after its commit, whatever other numbers of this process do with the same contact;
 * - once the connection is being ended no answer reaches the library any more: it would take it for a message
 *   that cannot be decrypted, ask the sender for another copy, and tell the server to forget this one.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import {
  DEFAULT_CONNECTION_CONFIG,
  proto,
  unpadRandomMax16,
  type SignalDataSet,
  type SignalKeyStoreWithTransaction,
  type SignalRepositoryWithLIDStore,
  type SocketConfig,
} from "@whiskeysockets/baileys";
import { repairLibsignal } from "./libsignal-repairs.ts";
import type { MappingCache } from "./shared-caches.ts";
import type { StanzaIndex, StanzaPart } from "./stanzas.ts";

/** What the repository needs of the number's owner. All of it rejects only when the connection is being ended. */
export type DecryptJournal = {
  /** What was committed for this part when it was decrypted before. */
  find(hash: Buffer): Promise<Uint8Array | undefined>;
  /** Commits that this part cannot be decrypted, before the sender is asked for another copy. */
  noteMissing(hash: Buffer, part: StanzaPart): Promise<void>;
  /** That is noted, and the library has nothing more to decrypt of its stanza; it takes its time over the rest. */
  passOver(part: StanzaPart): void;
  /** A read or a write has failed, or the number is let go. */
  isOver(): boolean;
  /** The library is not the one this was written for. */
  fail(error: Error): void;
};

/** A kind of key of ours among those of the library: it travels in the same write as the ratchet. */
export const JOURNAL_KIND = "inbound-journal";
export type JournalValue = { hash: Buffer; part: StanzaPart; plaintext: Buffer };

export function createSignalRepository(
  stanzas: StanzaIndex,
  journal: DecryptJournal,
  mappings?: MappingCache,
): SocketConfig["makeSignalRepository"] {
  repairLibsignal();
  return (auth, logger, pnToLid) => {
    const base = DEFAULT_CONNECTION_CONFIG.makeSignalRepository(auth, logger, pnToLid);
    if (mappings) replaceMappings(base.lidMapping, mappings);
    // The library has put its transactions around our store before it asks for a repository.
    const keys = auth.keys as SignalKeyStoreWithTransaction;
    /** The context of this moment: no transaction. */
    const outside = AsyncLocalStorage.snapshot();
    const lock = createLock();

    /** A contact's device has one ratchet, whichever of its two addresses the caller uses. */
    const device = async (jid: string): Promise<string> =>
      ((await base.lidMapping.getLIDForPN(jid)) ?? jid).replace(":0@", "@");

    const step = <T>(jid: string, work: () => Promise<T>): Promise<T> =>
      outside(async () => lock(await device(jid), work));

    /** Whatever goes wrong once the connection is being ended stays unsaid. */
    const receive = async (work: () => Promise<Uint8Array>): Promise<Uint8Array> => {
      try {
        return await work();
      } catch (error) {
        if (journal.isOver()) return never();
        throw error;
      }
    };

    const learn = (
      author: string,
      item: proto.Message.ISenderKeyDistributionMessage,
    ): Promise<void> =>
      keys.transaction(
        () => base.processSenderKeyDistributionMessage({ authorJid: author, item }),
        item.groupId ?? "",
      );

    /** In the transaction of the ratchet step. */
    async function keep(hash: Buffer, part: StanzaPart, plaintext: Uint8Array): Promise<void> {
      const { participant: author, from } = part.attrs;
      const item = author === undefined ? undefined : senderKeyIn(plaintext);
      // Of the group in which it came, and of no other: anybody could name as many groups as they like.
      if (author !== undefined && item && item.groupId === from) {
        await learn(author, item);
      }
      const value: JournalValue = { hash, part, plaintext: Buffer.from(plaintext) };
      // Not a kind the library knows; it passes on what it is given.
      await keys.set({
        [JOURNAL_KIND]: { [hash.toString("base64")]: value },
      } as unknown as SignalDataSet);
    }

    /** Decrypts in one transaction with its journal entry, or finds out why it cannot be. */
    async function decrypt(
      ciphertext: Uint8Array,
      lockName: string,
      work: () => Promise<Uint8Array>,
    ): Promise<Uint8Array> {
      const noted = stanzas.of(ciphertext);
      if (!noted) {
        const error = new TypeError("a ciphertext of no stanza; is this another Baileys?");
        journal.fail(error);
        throw error;
      }
      const { hash, part, isLast } = noted;
      try {
        return await keys.transaction(async () => {
          const plaintext = await work();
          await keep(hash, part, plaintext);
          return plaintext;
        }, lockName);
      } catch (error) {
        if (journal.isOver()) throw error;
        const known = await journal.find(hash);
        if (known) return known;
        await journal.noteMissing(hash, { ...part, missing: "undecryptable" });
        if (isLast) journal.passOver(part);
        throw error;
      }
    }

    const repository: SignalRepositoryWithLIDStore = {
      ...base,
      decryptMessage: (given) =>
        receive(() =>
          step(given.jid, () =>
            decrypt(given.ciphertext, given.jid, () => base.decryptMessage(given)),
          ),
        ),
      decryptGroupMessage: (given) =>
        receive(() =>
          outside(() => decrypt(given.msg, given.group, () => base.decryptGroupMessage(given))),
        ),
      // What may be learnt was learnt with the message that brought it.
      processSenderKeyDistributionMessage: () => Promise.resolve(),
      encryptMessage: (given) => step(given.jid, () => base.encryptMessage(given)),
      injectE2ESession: (given) => step(given.jid, () => base.injectE2ESession(given)),
      migrateSession: (from, to) => step(to, () => base.migrateSession(from, to)),
      validateSession: (jid) => outside(() => base.validateSession(jid)),
      getSessionInfo: (jid) => outside(() => base.getSessionInfo(jid)),
      deleteSession: (jids) => outside(() => base.deleteSession(jids)),
    };
    return repository;
  };
}

/** Runs one after another what has the same name. */
function createLock(): <T>(name: string, work: () => Promise<T>) => Promise<T> {
  const tails = new Map<string, Promise<unknown>>();
  return async (name, work) => {
    const run = (tails.get(name) ?? Promise.resolve()).then(work);
    const tail = run.catch(() => undefined);
    tails.set(name, tail);
    try {
      return await run;
    } finally {
      if (tails.get(name) === tail) tails.delete(name);
    }
  };
}

/** Throws when the library's insides are not as expected: then its own would grow without bound. */
function replaceMappings(store: object, mappings: MappingCache): void {
  if (!("mappingCache" in store)) {
    throw new TypeError("Baileys keeps phones and LIDs in another way; is this another version?");
  }
  store.mappingCache = mappings;
}

/** Whoever waits for this is forgotten together with its connection. */
function never(): Promise<never> {
  return new Promise(() => undefined);
}

/** A group's key rides on a message to its members one by one. */
function senderKeyIn(padded: Uint8Array): proto.Message.ISenderKeyDistributionMessage | undefined {
  try {
    const message = proto.Message.decode(unpadRandomMax16(padded));
    const inner = message.deviceSentMessage?.message ?? message;
    return inner.senderKeyDistributionMessage ?? undefined;
  } catch {
    // The library finds out by itself that this is no message.
    return undefined;
  }
}
