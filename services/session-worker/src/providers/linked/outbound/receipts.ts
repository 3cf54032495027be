/**
 * Receipts are stored before the library acknowledges them: what WhatsApp has got rid of it does not tell again.
 * What comes while a batch is being stored shares the next one.
 */
import {
  areJidsSameUser,
  getBinaryNodeChild,
  getBinaryNodeChildren,
  type BinaryNode,
  type WASocket,
} from "@whiskeysockets/baileys";
import type { Receipt } from "../../provider.ts";
import type { OwnIdentity } from "../stanzas.ts";

const EVENT = "CB:receipt";
const MOST_AT_ONCE = 64;
const STATES: Readonly<Record<string, Receipt["state"]>> = {
  "": "delivered",
  inactive: "delivered",
  read: "read",
  played: "read",
};

export type ReceiptLine = {
  /** The worker may write again: what waited goes on. */
  heard: () => void;
};

/**
 * `store` resolves when the receipts are stored; when it rejects, the library never hears of them. Throws when the
 * library's insides are not as expected: then the promise could not be kept.
 */
export function lineUpReceipts(
  sock: WASocket,
  me: () => OwnIdentity,
  isQuiet: () => boolean,
  store: (receipts: readonly Receipt[]) => Promise<void>,
): ReceiptLine {
  const listeners = sock.ws.listeners(EVENT);
  const [handle] = listeners;
  if (listeners.length !== 1 || !handle) {
    throw new TypeError("Baileys hears of receipts in another way; is this another version?");
  }
  const waiting: BinaryNode[] = [];
  let isBusy = false;

  const next = async (): Promise<void> => {
    if (isBusy || isQuiet()) return;
    isBusy = true;
    try {
      while (waiting.length > 0 && !isQuiet()) {
        const nodes = waiting.splice(0, MOST_AT_ONCE);
        const receipts = nodes.flatMap((node) => receiptsIn(node, me()));
        if (receipts.length > 0) await store(receipts);
        for (const node of nodes) handle(node);
      }
    } catch {
      // The number was let go: what was not acknowledged comes again.
      waiting.length = 0;
    } finally {
      isBusy = false;
    }
  };

  sock.ws.removeAllListeners(EVENT);
  sock.ws.on(EVENT, (node: BinaryNode) => {
    waiting.push(node);
    void next();
  });
  return { heard: () => void next() };
}

/** What a receipt says of our messages; nothing, if it is about something else. */
export function receiptsIn(node: BinaryNode, me: OwnIdentity): Receipt[] {
  const { id, from, participant, t, type = "" } = node.attrs;
  const state = STATES[type];
  if (state === undefined || id === undefined) return [];
  const by = participant ?? from;
  // The number's own devices have their copy; that says nothing of the one it is meant for.
  if (areJidsSameUser(by, me.id) || areJidsSameUser(by, me.lid)) return [];
  const seconds = Number(t);
  const at = seconds > 0 ? new Date(seconds * 1_000) : new Date();
  const more = getBinaryNodeChildren(getBinaryNodeChild(node, "list"), "item");
  const ids = [id, ...more.flatMap(({ attrs }) => attrs["id"] ?? [])];
  return ids.map((providerMessageId) => ({ providerMessageId, state, at }));
}
