/**
 * Two repairs of libsignal 6, whose mistakes cost messages.
 *
 * **Steps run in the transactions they belong to.** libsignal puts its steps into queues, one per contact's
 * device for the whole process: those of all numbers that know the contact wait in the same one. And whoever
 * finds a queue empty works it off, so that all steps after the first run in the async context of somebody else:
 * there the library finds no transaction, or one that was committed before. In the first case a ratchet is stored
 * without what was decrypted with it, in the second it is not stored at all: the next message is encrypted with
 * keys that were used, which no phone can read. So a cipher's steps do without the queue, as ours are in order by
 * a lock of the number. The builder of sessions asks for the queue itself; there each access to the store takes
 * its context along.
 *
 * **A session that was tried in vain stays as it was.** Two who write to each other for the first time at once
 * have two sessions from then on, each using its own. A message is tried with one after the other, and libsignal
 * steps a session's ratchet before it knows whether the message is of that one; with the right one it stores the
 * wrong one, too, which nobody can use any more.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { createRequire } from "node:module";

/** What is needed of libsignal, which has no exact types. */
type Libsignal = {
  SessionCipher: { prototype: Cipher };
  SessionBuilder: { prototype: Builder };
};
type Cipher = {
  queueJob: <T>(job: () => Promise<T>) => Promise<T>;
  decryptWithSessions: (data: Buffer, sessions: readonly Session[]) => Promise<object>;
};
type Builder = { storage: object; initOutgoing: (bundle: object) => Promise<void> };
type Session = {
  constructor: { deserialize: (data: object) => object };
  serialize: () => object;
};

let isDone = false;

/** Process-wide, once. Throws when libsignal is not as expected: messages would be lost. */
export function repairLibsignal(): void {
  if (isDone) return;
  // The copy that Baileys uses.
  const load = createRequire(import.meta.resolve("@whiskeysockets/baileys"));
  const { SessionCipher, SessionBuilder } = load("libsignal") as Libsignal;
  const { prototype: cipher } = SessionCipher;
  const { prototype: builder } = SessionBuilder;
  const insides = [cipher.queueJob, cipher.decryptWithSessions, builder.initOutgoing];
  if (!insides.every((one) => typeof one === "function")) {
    throw new TypeError("libsignal's insides are not as expected; is this another version?");
  }
  keepInContext(cipher, builder);
  leaveNoTrace(cipher);
  isDone = true;
}

function keepInContext(cipher: Cipher, builder: Builder): void {
  cipher.queueJob = (job) => job();
  const { initOutgoing } = builder;
  builder.initOutgoing = function (bundle) {
    const bound = Object.create(this, { storage: { value: inContext(this.storage) } }) as Builder;
    return initOutgoing.call(bound, bundle);
  };
}

/** The same store, whose methods run in the context of this moment, wherever they are called. */
function inContext(storage: object): object {
  const run = AsyncLocalStorage.snapshot();
  const bound = Object.entries(storage).map(([name, method]) => {
    const call = method as (...args: unknown[]) => unknown;
    return [name, (...args: unknown[]) => run(() => call(...args))] as const;
  });
  return Object.fromEntries(bound);
}

function leaveNoTrace(cipher: Cipher): void {
  const { decryptWithSessions } = cipher;
  cipher.decryptWithSessions = async function (data, sessions) {
    // A single one that does not fit is not stored.
    if (sessions.length < 2) return decryptWithSessions.call(this, data, sessions);
    let failure: unknown;
    for (const session of sessions) {
      const before = session.serialize();
      try {
        return await decryptWithSessions.call(this, data, [session]);
      } catch (error) {
        failure = error;
        Object.assign(session, session.constructor.deserialize(before));
      }
    }
    throw failure;
  };
}
