import type { Envelope, EventData, EventDefinition } from "@manyline/contracts";

/** An event as a handler gets it. `isEvent` tells the type of its `data`. */
export type ManylineEvent<Type extends string = string, Data = unknown> = {
  /** evt_…; the same event never has another one. */
  readonly id: string;
  /** E.g. `message.received`; docs/events.md lists all. */
  readonly type: Type;
  readonly companyId: string;
  /** Undefined for facts about the whole company. */
  readonly numberId: string | undefined;
  /** Of events of a chat: their order within it. */
  readonly chatId: string | undefined;
  readonly seq: number | undefined;
  readonly time: Date;
  readonly data: Data;
  /** An event behind it in its chat was handled before: this one took longer than the wait for gaps. */
  readonly isLate: boolean;
};

/** Narrows an event by its definition: `if (isEvent(event, messageReceived)) event.data.text`. */
export function isEvent<Definition extends EventDefinition>(
  event: ManylineEvent,
  definition: Definition,
): event is ManylineEvent<Definition["type"], EventData<Definition>> {
  return event.type === definition.type;
}

/** Undefined for what is no event. Types this build does not know are events too. */
export function readEvent(value: unknown): ManylineEvent | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { id, type, companyid, numberid, seq, time, data } = value as Partial<Envelope>;
  const isGood =
    typeof id === "string" && typeof type === "string" && typeof companyid === "string";
  if (!isGood) return undefined;
  return {
    id,
    type,
    companyId: companyid,
    numberId: typeof numberid === "string" ? numberid : undefined,
    chatId: chatOf(data),
    seq: typeof seq === "number" ? seq : undefined,
    time: new Date(typeof time === "string" ? time : 0),
    data,
    isLate: false,
  };
}

function chatOf(data: unknown): string | undefined {
  if (typeof data !== "object" || data === null || !("chat" in data)) return undefined;
  const { chat } = data;
  if (typeof chat !== "object" || chat === null || !("id" in chat)) return undefined;
  return typeof chat.id === "string" ? chat.id : undefined;
}
