/**
 * Holds back what Baileys writes to a socket, in order. At pair-success the library answers WhatsApp right
 * after it tells us, without waiting for the credentials to be stored: a crash in between leaves a device
 * on the phone whose keys nobody has. With the gate held the answer leaves only after the commit.
 */
import type { WASocket } from "@whiskeysockets/baileys";
import { rawSocket } from "./socket.ts";

export type WriteGate = { hold(): void; release(): void };

/** Throws when the library's insides are not as expected: then the promise could not be kept. */
export function installWriteGate(sock: WASocket): WriteGate {
  const raw = rawSocket(sock);
  if (!raw) throw new TypeError("Baileys has no socket to hold back; is this another version?");
  const send = raw.send.bind(raw);
  let held: (() => void)[] | undefined;
  raw.send = (data, callback) => {
    if (held) held.push(() => send(data, callback));
    else send(data, callback);
  };
  return {
    hold: () => {
      held ??= [];
    },
    release: () => {
      const waiting = held ?? [];
      held = undefined;
      for (const write of waiting) write();
    },
  };
}
