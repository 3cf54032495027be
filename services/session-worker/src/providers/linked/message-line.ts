/**
 * Hands message stanzas to Baileys one after another, in the order in which they came. By itself the library
 * begins with each at once and takes those that had waited at WhatsApp through a queue of their own, so a later
 * message can overtake an earlier one of the same chat: the first from somebody new, whose addresses are looked
 * up, or the last of a backlog.
 */
import type { BinaryNode, WASocket } from "@whiskeysockets/baileys";

const EVENT = "CB:message";

/** So many at a time may still be asked for while others come; more than these are waited for. */
const MOST_PASSED_OVER = 1_000;

export type MessageLine = {
  /** The worker may receive again: what waited goes on. */
  heard: () => void;
  /** What came with these attributes cannot be decrypted, and that is noted. */
  passOver: (attrs: BinaryNode["attrs"]) => void;
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
  openMutex(sock);
  const waiting: BinaryNode[] = [];
  let isBusy = false;
  let passedOver = 0;
  let current: { attrs: BinaryNode["attrs"]; passOver: () => void } | undefined;

  const next = (): void => {
    if (isBusy || isQuiet()) return;
    const node = waiting.shift();
    if (!node) return;
    isBusy = true;
    let isOver = false;
    const goOn = (): void => {
      if (isOver) return;
      isOver = true;
      current = undefined;
      isBusy = false;
      next();
    };
    let isPassedOver = false;
    current = {
      attrs: node.attrs,
      passOver: () => {
        if (isPassedOver || passedOver >= MOST_PASSED_OVER) return;
        isPassedOver = true;
        passedOver += 1;
        goOn();
      },
    };
    void (async () => {
      before(node);
      // Not marked as having waited, the library answers only when it is done with it.
      const { offline: _, ...attrs } = node.attrs;
      await handle({ ...node, attrs });
    })()
      // An answer that found the connection closed; the stanza comes again.
      .catch(() => undefined)
      .finally(() => {
        if (isPassedOver) passedOver -= 1;
        goOn();
      });
  };

  sock.ws.removeAllListeners(EVENT);
  sock.ws.on(EVENT, (node: BinaryNode) => {
    waiting.push(node);
    next();
  });
  return {
    heard: next,
    passOver: (attrs) => {
      if (current?.attrs === attrs) current.passOver();
    },
  };
}

/** The library's own lock around a whole message would hold up the next one all the same. */
function openMutex(sock: object): void {
  const mutex: unknown = "messageMutex" in sock ? sock.messageMutex : undefined;
  if (typeof mutex !== "object" || mutex === null || !("mutex" in mutex)) {
    throw new TypeError("Baileys locks messages in another way; is this another version?");
  }
  mutex.mutex = (work: () => unknown) => Promise.resolve().then(work);
}
