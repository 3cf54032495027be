/**
 * libsignal's ratchet steps, kept in the transactions they belong to.
 *
 * libsignal puts its steps into queues, one per contact's device for the whole process: those of all numbers
 * that know the contact wait in the same one. And whoever finds a queue empty works it off, so that all steps
 * after the first run in the async context of somebody else: there the library finds no transaction, or one that
 * was committed before. In the first case a ratchet is stored without what was decrypted with it, in the second
 * it is not stored at all: the next message is encrypted with keys that were used, which no phone can read.
 *
 * So a cipher's steps do without the queue, as ours are in order by a lock of the number. The builder
 * of sessions asks for the queue itself; there each access to the store takes its context along.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { createRequire } from "node:module";

/** What is needed of libsignal, which has no exact types. */
type Libsignal = {
  SessionCipher: { prototype: { queueJob: <T>(job: () => Promise<T>) => Promise<T> } };
  SessionBuilder: { prototype: Builder };
};
type Builder = { storage: object; initOutgoing: (bundle: object) => Promise<void> };

let isDone = false;

/** Process-wide, once. Throws when libsignal is not as expected: messages would be lost. */
export function keepLibsignalInContext(): void {
  if (isDone) return;
  // The copy that Baileys uses.
  const load = createRequire(import.meta.resolve("@whiskeysockets/baileys"));
  const { SessionCipher, SessionBuilder } = load("libsignal") as Libsignal;
  const { prototype: cipher } = SessionCipher;
  const { prototype: builder } = SessionBuilder;
  if (typeof cipher.queueJob !== "function" || typeof builder.initOutgoing !== "function") {
    throw new TypeError("libsignal has no queue to do without; is this another version?");
  }
  cipher.queueJob = (job) => job();
  const { initOutgoing } = builder;
  builder.initOutgoing = function (bundle) {
    const bound = Object.create(this, { storage: { value: inContext(this.storage) } }) as Builder;
    return initOutgoing.call(bound, bundle);
  };
  isDone = true;
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
