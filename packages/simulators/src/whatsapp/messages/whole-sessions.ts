import type { SessionCipher } from "libsignal";

/** What libsignal's types leave out. */
type Cipher = {
  decryptWithSessions: (data: Buffer, sessions: readonly Session[]) => Promise<object>;
};
type Session = {
  constructor: { deserialize: (data: object) => object };
  serialize: () => object;
};

/**
 * A phone that has several sessions with a device, because both opened one at the same time, tries a message with
 * one after the other. libsignal 6 steps and stores also those that did not fit, which nobody can use any more;
 * phones do not make this mistake, and so ours put them back.
 */
export function keepSessionsWhole(cipher: SessionCipher): void {
  const inner = cipher as unknown as Cipher;
  const decrypt = inner.decryptWithSessions.bind(inner);
  inner.decryptWithSessions = async (data, sessions) => {
    let failure: unknown = new Error("No sessions available");
    for (const session of sessions) {
      const before = session.serialize();
      try {
        return await decrypt(data, [session]);
      } catch (error) {
        failure = error;
        Object.assign(session, session.constructor.deserialize(before));
      }
    }
    throw failure;
  };
}
