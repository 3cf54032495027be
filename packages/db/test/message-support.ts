/** Numbers that get messages, for tests. */
import { createHash, randomBytes } from "node:crypto";
import {
  type CompanyId,
  type EventData,
  type EventDefinition,
  newLinkedMessageId,
  type NumberId,
} from "@manyline/contracts";
import {
  claimSends,
  commitInbound,
  enqueueMessage,
  type Enqueued,
  type InboundItem,
  type InboundResult,
  type InboundSource,
  type JournalEntry,
  type MessageItem,
  noteStatuses,
  type PersonInput,
  type Send,
  type SendInput,
  type Status,
  type StoredEvent,
  withCompany,
} from "../src/index.ts";
import { addNumber, ownedNumber, type World } from "./support.ts";

export type Line = {
  source: InboundSource;
  commit: (...items: InboundItem[]) => Promise<InboundResult>;
};

/** A company with a number that `w1` owns. */
export async function openLine(world: World): Promise<Line> {
  return lineOf(world, await ownedNumber(world));
}

export function lineOf(
  world: World,
  { fence, company, number }: Awaited<ReturnType<typeof ownedNumber>>,
): Line {
  return lineFrom(world, {
    fence,
    companyId: company.companyId as CompanyId,
    numberId: number.numberId as NumberId,
    provider: "linked",
    phone: "79001234567",
    service: "test",
  });
}

/** Another number of the same company and owner. */
export async function sisterLine(world: World, { source }: Line): Promise<Line> {
  const { fence } = source;
  const number = await addNumber(world, fence.companyNo);
  await world.superuser.query("update number_fence set epoch = $1 where number_no = $2", [
    fence.epoch,
    number.numberNo,
  ]);
  return lineFrom(world, {
    ...source,
    numberId: number.numberId as NumberId,
    fence: { ...fence, numberNo: number.numberNo },
  });
}

function lineFrom(world: World, source: InboundSource): Line {
  return {
    source,
    commit: (...items) => commitInbound(world.worker, world.test.keyring, source, items),
  };
}

let phones = 79_100_000_000;
/** Somebody nobody has heard of. */
export function stranger(
  more: Partial<PersonInput> = {},
): PersonInput & { phone: string; lid: string } {
  phones += 1;
  return { phone: String(phones), lid: `18${phones}`, name: `Person ${phones}`, ...more } as never;
}

export const providerId = (): string => `3EB0${randomBytes(9).toString("hex").toUpperCase()}`;

/** A text from a person to the number. */
export function textFrom(person: PersonInput, more: Partial<MessageItem> = {}): MessageItem {
  return {
    kind: "message",
    event: "received",
    providerMessageId: providerId(),
    chat: { type: "direct", person },
    from: person,
    at: new Date("2026-11-21T10:15:30.000Z"),
    type: "text",
    text: "Good morning",
    ...more,
  };
}

export const hashOf = (text: string): Buffer => createHash("sha256").update(text).digest();

export function entry(text: string): JournalEntry {
  return {
    hash: hashOf(text),
    attrs: { id: text, from: "1@lid" },
    plaintext: Buffer.from(`plain ${text}`),
  };
}

export const types = (events: readonly StoredEvent[]): string[] => events.map(({ type }) => type);

/** The data of the only event of a kind. */
export function dataOf<Definition extends EventDefinition>(
  events: readonly StoredEvent[],
  { type }: Definition,
): EventData<Definition> {
  const found = events.filter((event) => event.type === type);
  if (found.length !== 1)
    throw new Error(`${found.length} events ${type} in ${types(events).join()}`);
  return found[0]?.envelope.data as EventData<Definition>;
}

type StoredMessage = Record<string, string | number | null> & {
  content: Record<string, never> | null;
};

/** Every message of the number as it lies in the table, the oldest first. */
export async function storedMessages(world: World, { source }: Line): Promise<StoredMessage[]> {
  const { rows } = await world.superuser.query<StoredMessage>(
    "select * from messages where number_no = $1 order by message_id",
    [source.fence.numberNo],
  );
  return rows;
}

export const AT = new Date("2026-11-21T10:20:00.000Z");
export const sent = (messageId: string): Status => ({ messageId, state: "sent", at: AT });

export const ids = (sends: readonly { messageId: string }[]): string[] =>
  sends.map(({ messageId }) => messageId);

/** Requests of the gateway and what the owner does with them. */
export function sendingIn(world: () => World) {
  return {
    enqueue: ({ source }: Line, more: Partial<SendInput> = {}): Promise<Enqueued> => {
      const { fence, companyId, numberId, provider, phone } = source;
      return withCompany(world().app, fence.companyNo, (tx) =>
        enqueueMessage(tx, {
          companyNo: fence.companyNo,
          numberNo: fence.numberNo,
          companyId,
          numberId,
          provider,
          phone,
          service: "gateway",
          to: { phone: "79007654321" },
          type: "text",
          text: "Your visit is tomorrow",
          providerMessageId: newLinkedMessageId(),
          ...more,
        }),
      );
    },
    claim: ({ source }: Line, room = 10, epoch = source.fence.epoch): Promise<Send[]> =>
      claimSends(world().worker, [{ fence: { ...source.fence, epoch }, room }], 100),
    note: ({ source }: Line, ...statuses: Status[]) =>
      noteStatuses(world().worker, source, statuses),
  };
}
