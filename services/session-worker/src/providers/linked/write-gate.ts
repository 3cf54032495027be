/**
 * What Baileys writes to a socket, held back in order until something is durable, or never let out again.
 *
 * At pair-success the library answers WhatsApp right after it tells us, without waiting for the credentials to
 * be stored: a crash in between leaves a device on the phone whose keys nobody has. With the gate held the
 * answer leaves only after the commit. And a connection that is being ended says no more: after a failed write
 * the library would ask for another copy of a message that is fine, and tell WhatsApp to forget this one.
 */
import type { WASocket } from "@whiskeysockets/baileys";
import { rawSocket } from "./raw-socket.ts";

export type WriteGate = {
  /** Each hold needs its release. */
  hold(): void;
  release(): void;
  /** Drops what is held and whatever is written from now on. */
  shut(): void;
};

/** Throws when the library's insides are not as expected: then the promise could not be kept. */
export function installWriteGate(sock: WASocket): WriteGate {
  const raw = rawSocket(sock);
  if (!raw) throw new TypeError("Baileys has no socket to hold back; is this another version?");
  const send = raw.send.bind(raw);
  let holds = 0;
  let isShut = false;
  let waiting: (() => void)[] = [];
  raw.send = (data, callback) => {
    if (isShut) return;
    if (holds > 0) waiting.push(() => send(data, callback));
    else send(data, callback);
  };
  return {
    hold: () => {
      holds += 1;
    },
    release: () => {
      holds = Math.max(0, holds - 1);
      if (holds > 0) return;
      const due = waiting;
      waiting = [];
      for (const write of due) write();
    },
    shut: () => {
      isShut = true;
      waiting = [];
    },
  };
}
