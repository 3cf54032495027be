/**
 * One frame that cannot be read, or that the library stumbles over, costs neither the process nor, alone, the
 * connection. By itself the library leaves such an error to nobody: an unhandled rejection, which would end the
 * worker with all its numbers. The frame is left out and not acknowledged; whatever it was, WhatsApp keeps it.
 */
import type { WASocket } from "@whiskeysockets/baileys";

const EVENT = "message";
/** So many in a row, and it is not the frames: the two ends do not understand each other any more. */
const MOST_IN_A_ROW = 5;

export type FrameGuardParts = {
  /** A frame was left out. */
  onBadFrame: (error: unknown) => void;
  /** Ends the connection. */
  fail: (error: Error) => void;
};

/** Throws when the library's insides are not as expected: then the promise could not be kept. */
export function guardFrames(sock: Pick<WASocket, "ws">, parts: FrameGuardParts): void {
  const listeners = sock.ws.listeners(EVENT);
  const [handle] = listeners;
  if (listeners.length !== 1 || !handle) {
    throw new TypeError("Baileys hears of frames in another way; is this another version?");
  }
  let inARow = 0;
  sock.ws.removeAllListeners(EVENT);
  sock.ws.on(EVENT, (...data: unknown[]) => {
    void (async () => {
      await handle(...data);
    })().catch((error: unknown) => {
      inARow += 1;
      parts.onBadFrame(error);
      if (inARow === MOST_IN_A_ROW) parts.fail(new Error("frames cannot be read any more"));
    });
  });
  sock.ws.on("frame", () => {
    inARow = 0;
  });
}
