/** Compares what people wrote and what programs asked to be sent with what came of it, message by message. */

/** What somebody's phone wrote to a number, in the order in which WhatsApp took it. */
export type Written = { chat: string; id: string; text: string };

/** What the gateway answered with 202, in the order of the answers. */
export type Accepted = { chat: string; messageId: string; text: string };

/** A `message.…` event, as the log or a subscriber has it. */
export type Told = {
  id: string;
  type: string;
  seq: number;
  chatId: string;
  providerMessageId: string;
  text: string | null;
};

/** What a phone shows, in the order of arrival. */
export type Shown = {
  chat: string;
  id: string;
  text: string;
  /** Arrivals of this id that nobody asked for. */
  copies: number;
};

/** A stored message that was to be sent. */
export type Row = { messageId: string; providerMessageId: string; state: string; attempts: number };

export type InboundVerdict = {
  written: number;
  told: number;
  lost: string[];
  toldTwice: string[];
  /** Told, but nobody wrote it. */
  invented: string[];
  bent: string[];
  outOfOrder: string[];
  /** Never readable, or only after another copy. */
  waiting: string[];
};

/** What was written, and what the events say of it. */
export function judgeInbound(written: readonly Written[], events: readonly Told[]): InboundVerdict {
  const received = events.filter(({ type }) => type === "message.received");
  const byId = Map.groupBy(received, ({ providerMessageId }) => providerMessageId);
  const known = new Set(written.map(({ id }) => id));
  const firsts = [...byId.values()].flatMap(([first]) => first ?? []);
  return {
    written: written.length,
    told: received.length,
    lost: written.filter(({ id }) => !byId.has(id)).map(({ text }) => text),
    toldTwice: [...byId].filter(([, all]) => all.length > 1).map(([id]) => id),
    invented: [...byId.keys()].filter((id) => !known.has(id)),
    bent: written
      .filter(({ id, text }) => byId.get(id)?.some((event) => event.text !== text))
      .map(({ text }) => text),
    outOfOrder: swapped(
      written,
      firsts.toSorted((a, b) => a.seq - b.seq).map(({ providerMessageId }) => providerMessageId),
    ),
    waiting: events.filter(({ type }) => type === "message.waiting").map(({ id }) => id),
  };
}

export type LogVerdict = {
  events: number;
  /** Ids that are in the log more than once. */
  idTwice: string[];
  /** Places in a chat that two events have. */
  seqTwice: string[];
};

/** The event log in itself. */
export function judgeLog(log: readonly Told[]): LogVerdict {
  return {
    events: log.length,
    idTwice: repeated(log.map(({ id }) => id)),
    seqTwice: repeated(log.map(({ chatId, seq }) => `${chatId} ${seq}`)),
  };
}

export type HeardVerdict = {
  deliveries: number;
  /** Further deliveries of an id, which a subscriber drops. */
  droppedById: number;
  unheard: string[];
  /** Heard, but not in the log. */
  invented: string[];
};

/** What a subscriber got of what is in the log. */
export function judgeHeard(log: readonly Told[], heard: readonly Told[]): HeardVerdict {
  const ids = new Set(heard.map(({ id }) => id));
  const logged = new Set(log.map(({ id }) => id));
  return {
    deliveries: heard.length,
    droppedById: heard.length - ids.size,
    unheard: [...logged].filter((id) => !ids.has(id)),
    invented: [...ids].filter((id) => !logged.has(id)),
  };
}

/** What is left when a subscriber has dropped what it had by id. */
export function dropById(heard: readonly Told[]): Told[] {
  const seen = new Set<string>();
  return heard.filter(({ id }) => seen.size < seen.add(id).size);
}

export type OutboundVerdict = {
  accepted: number;
  shown: number;
  /** Answered with 202, and there is no such row. */
  withoutRow: string[];
  /** Two requests with keys of their own, one message. */
  sharedRow: string[];
  /** Rows that no 202 told of. */
  extraRows: string[];
  lost: string[];
  /** Not with the id that was chosen before the first try, or once more with another one. */
  underAnotherId: string[];
  invented: string[];
  outOfOrder: string[];
  /** Arrived once more with the same id; a phone shows it once. */
  repeats: number;
  /** Claimed by a second owner, because the first one ended in the middle of it. */
  claimedAgain: number;
  notDelivered: string[];
  /** Messages of which `message.sent` was not told exactly once. */
  notToldOnce: string[];
};

/** What was accepted, and what phones show. */
export function judgeOutbound(
  accepted: readonly Accepted[],
  rows: readonly Row[],
  shown: readonly Shown[],
  events: readonly Told[],
): OutboundVerdict {
  const rowOf = new Map(rows.map((row) => [row.messageId, row]));
  const byText = Map.groupBy(shown, ({ text }) => text);
  const texts = new Set(accepted.map(({ text }) => text));
  const acceptedIds = new Set(accepted.map(({ messageId }) => messageId));
  const sent = Map.groupBy(
    events.filter(({ type }) => type === "message.sent"),
    ({ providerMessageId }) => providerMessageId,
  );
  const expected = accepted.map(({ chat, text, messageId }) => ({
    chat,
    text,
    id: rowOf.get(messageId)?.providerMessageId ?? "",
  }));
  return {
    accepted: accepted.length,
    shown: shown.length,
    withoutRow: accepted.filter(({ messageId }) => !rowOf.has(messageId)).map(({ text }) => text),
    sharedRow: repeated(accepted.map(({ messageId }) => messageId)),
    extraRows: rows.map(({ messageId }) => messageId).filter((id) => !acceptedIds.has(id)),
    lost: expected.filter(({ text }) => !byText.has(text)).map(({ text }) => text),
    underAnotherId: expected
      .filter(({ id, text }) => byText.get(text)?.some((one) => one.id !== id))
      .map(({ text }) => text),
    invented: shown.filter(({ text }) => !texts.has(text)).map(({ text }) => text),
    outOfOrder: swapped(
      expected,
      shown.map(({ id }) => id),
    ),
    claimedAgain: rows.filter(({ attempts }) => attempts > 1).length,
    repeats: shown.reduce((sum, { copies }) => sum + copies - 1, 0),
    notDelivered: rows
      .filter(({ state }) => state !== "delivered" && state !== "read")
      .map(({ messageId, state }) => `${messageId} ${state}`),
    notToldOnce: expected.filter(({ id }) => sent.get(id)?.length !== 1).map(({ text }) => text),
  };
}

/** Messages that came later than one that was meant to follow them, chat by chat. Those that never came do not count. */
function swapped(
  meant: readonly { chat: string; id: string; text: string }[],
  arrived: readonly string[],
): string[] {
  const placeOf = new Map<string, number>();
  for (const [place, id] of arrived.entries()) if (!placeOf.has(id)) placeOf.set(id, place);
  const late: string[] = [];
  const latest = new Map<string, number>();
  for (const { chat, id, text } of meant) {
    const place = placeOf.get(id);
    if (place === undefined) continue;
    if (place < (latest.get(chat) ?? -1)) late.push(text);
    else latest.set(chat, place);
  }
  return late;
}

function repeated(values: readonly string[]): string[] {
  const seen = new Set<string>();
  return values.filter((value) => seen.size === seen.add(value).size);
}
