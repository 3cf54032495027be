/**
 * Hands message stanzas to Baileys one after another, in the order in which they came. By itself the library
 * begins with each at once and takes those that had waited at WhatsApp through a queue of their own, so a later
 * message can overtake an earlier one of the same chat: the first from somebody new, whose addresses are looked
 * up, or the last of a backlog.
 */
import type { BinaryNode, WASocket } from "@whiskeysockets/baileys";

const EVENT = "CB:message";

export type MessageLine = {
  /** The worker may receive again: what waited goes on. */
  heard: () => void;
};

/**
 * `before` hears of each stanza right before the library does. Throws when the library's insides are not as
 * expected: then the promise could not be kept.
 */
export function lineUpMessages(
  sock: WASocket,
  isQuiet: () => boolean,
  before: (node: BinaryNode) => void,
): MessageLine {
  const listeners = sock.ws.listeners(EVENT);
  const [handle] = listeners;
  if (listeners.length !== 1 || !handle) {
    throw new TypeError("Baileys hears of messages in another way; is this another version?");
  }
  const waiting: BinaryNode[] = [];
  let isBusy = false;

  const next = (): void => {
    if (isBusy || isQuiet()) return;
    const node = waiting.shift();
    if (!node) return;
    isBusy = true;
    void (async () => {
      before(node);
      // Not marked as having waited, the library answers only when it is done with it.
      const { offline: _, ...attrs } = node.attrs;
      await handle({ ...node, attrs });
    })()
      // An answer that found the connection closed; the stanza comes again.
      .catch(() => undefined)
      .finally(() => {
        isBusy = false;
        next();
      });
  };

  sock.ws.removeAllListeners(EVENT);
  sock.ws.on(EVENT, (node: BinaryNode) => {
    waiting.push(node);
    next();
  });
  return { heard: next };
}
