import type { Keyring } from "../crypto/keyring.ts";
import type { Database } from "../open.ts";
import type { StoredEvent } from "./events.ts";
import type { InboundItem, InboundSource } from "./inbound-items.ts";

export type * from "./inbound-items.ts";

/** `events`: for the relay. `repeated`: how many items were dropped because they are committed already. */
export type InboundResult = { events: StoredEvent[]; repeated: number };

/**
 * Commits a batch of one number's items in one fenced transaction: people, chats, messages, events with their
 * `seq`, and the journal entries that are done. Items keep their order. What was committed before is dropped,
 * so a batch may be repeated.
 * @throws FencedError when the fence is not of this epoch; nothing was written
 */
export async function commitInbound(
  _db: Database,
  _keyring: Keyring,
  _source: InboundSource,
  _items: readonly InboundItem[],
): Promise<InboundResult> {
  throw new Error("not yet");
}
