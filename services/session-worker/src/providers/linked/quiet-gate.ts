/**
 * While the worker cannot be sure that the number is its own, nothing passes: what Baileys writes waits, and
 * what WhatsApp says is not handed to Baileys. The decision is made for every frame at its moment, since a
 * process that was stopped for a minute runs whatever is due before it learns anything. Order is kept; TCP
 * holds the peer back, so little piles up.
 */
import type { WASocket } from "@whiskeysockets/baileys";
import { rawSocket } from "./raw-socket.ts";

export type QuietGate = {
  /** The worker is sure again: what waited goes on. */
  heard: () => void;
};

/** Throws when the library's insides are not as expected: then the promise could not be kept. */
export function installQuietGate(sock: WASocket, isQuiet: () => boolean): QuietGate {
  const raw = rawSocket(sock);
  if (!raw) throw new TypeError("Baileys has no socket to keep quiet; is this another version?");
  const send = raw.send.bind(raw);
  const emit = raw.emit.bind(raw);
  let waiting: (() => void)[] = [];
  let isPaused = false;

  raw.send = (data, callback) => {
    if (waiting.length > 0 || isQuiet()) waiting.push(() => send(data, callback));
    else send(data, callback);
  };
  raw.emit = (event, ...args) => {
    if (event !== "message" || (waiting.length === 0 && !isQuiet())) return emit(event, ...args);
    waiting.push(() => emit(event, ...args));
    if (!isPaused) raw.pause();
    isPaused = true;
    return true;
  };
  return {
    heard: () => {
      if (isQuiet()) return;
      const due = waiting;
      waiting = [];
      for (const pass of due) pass();
      if (isPaused) raw.resume();
      isPaused = false;
    },
  };
}
