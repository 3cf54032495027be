/** What webhooks tell besides messages: statuses, and notices about numbers, accounts, templates, calls. */
import { createHash } from "node:crypto";
import {
  type EventDefinition,
  eventDefinition,
  makeEvent,
  type OutgoingEvent,
  parseMessageId,
  type Person,
} from "@manyline/contracts";
import { sql } from "kysely";
import { firstRow, type Tx } from "../open.ts";
import type { EventInput, StoredEvent } from "./events.ts";
import { nameable, pastTime, storableDeep } from "./inbound-batch.ts";
import type { PersonInput } from "./inbound-items.ts";
import type { Group, NoticePiece, StatusPiece } from "./ingest-routes.ts";
import type { SentName } from "./inbound-items.ts";
import { phoneOrNull } from "./message-rows.ts";
import { noteTogetherIn, type Status, STATUS_EVENTS } from "./statuses.ts";

/** Of a number, who its people are. */
export type Resolved = Map<number, (person: PersonInput) => Person | undefined>;

/** Something that leaves nothing but its event, told once. `numberNo` null: about the company. */
export type News = {
  companyNo: number;
  numberNo: number | null;
  hash: Buffer;
  /** What it was made of, unless that was a status. */
  notice?: NoticePiece;
  told: () => EventInput;
};

/**
 * Notes the statuses of messages that were sent from here, of all groups. By place of the group its events, and
 * `unknown`: statuses of messages that were not.
 */
export async function notedStatuses(
  tx: Tx,
  groups: readonly Group[],
): Promise<{ events: StoredEvent[]; unknown: StatusPiece[] }[]> {
  const named = groups.flatMap(({ source, statuses }, group) =>
    statuses.map((piece) => ({ group, fence: source.fence, piece, status: statusOf(piece) })),
  );
  const results = groups.map(() => ({ events: [] as StoredEvent[], unknown: [] as StatusPiece[] }));
  if (named.length === 0) return results;
  const noted = await noteTogetherIn(
    tx,
    groups.map(({ source, statuses }) => ({ source, statuses: statuses.map(statusOf) })),
  );
  for (const [group, events] of noted.entries()) {
    // They are held since the pieces were sorted.
    if (events instanceof Error) throw events;
    results[group]?.events.push(...events);
  }
  const row = await firstRow(
    tx,
    sql<{
      places: number[];
    }>`select unknown_statuses(${named.map(({ fence }) => fence.companyNo)}::int[],
      ${named.map(({ fence }) => fence.numberNo)}::int[],
      ${named.map(({ status }) => status.messageId ?? null)}::text[],
      ${named.map(({ status }) => status.providerMessageId ?? null)}::text[]) as places`,
  );
  for (const place of row?.places ?? []) {
    const one = named[place - 1];
    if (one) results[one.group]?.unknown.push(one.piece);
  }
  return results;
}

/** By which its message is found. */
export function sentNameOf(status: StatusPiece): SentName {
  const { messageId, providerMessageId } = statusOf(status);
  return { messageId, providerMessageId };
}

/** Our own id came along, if we have sent it: Meta's may not be known yet. */
function statusOf(status: StatusPiece): Status {
  const { state, error, pricing } = status;
  const providerMessageId = nameable(status.providerMessageId);
  const messageId = parseMessageId(status.callbackData ?? "");
  return {
    state,
    at: pastTime(status.at),
    ...(error ? { error } : {}),
    ...(pricing ? { pricing } : {}),
    ...(messageId === undefined ? { providerMessageId } : { messageId, providerMessageId }),
  };
}

/** What is to be told of a group, whether it was told before or not. */
export function newsOf(
  { source, notices, companyNotices }: Group,
  unknown: readonly StatusPiece[],
  resolved: Resolved,
): News[] {
  const { companyNo, numberNo } = source.fence;
  const who = resolved.get(numberNo) ?? (() => undefined);
  const event = (
    definition: EventDefinition,
    data: Record<string, unknown>,
    numberId: typeof source.numberId | undefined,
  ): OutgoingEvent => {
    const { companyId, service, traceparent } = source;
    const at = new Date();
    return makeEvent(definition, { companyId, numberId }, storableDeep(data), {
      service,
      at,
      traceparent,
    });
  };
  const about = (
    one: NoticePiece | StatusPiece,
    place: number | null,
    make: () => OutgoingEvent,
  ): News => ({
    companyNo,
    numberNo: place,
    hash: hashOf(one),
    ...(one.kind === "notice" ? { notice: one } : {}),
    told: () => ({ companyNo, numberNo: place, event: make() }),
  });
  return [
    ...unknown.map((status) =>
      about(status, numberNo, () =>
        event(STATUS_EVENTS[status.state], unknownData(status), source.numberId),
      ),
    ),
    ...notices.map((notice) =>
      about(notice, numberNo, () => {
        const person = (notice.person && who(notice.person)) ?? null;
        return noticeEvent(notice, person, (definition, data) =>
          event(definition, data, source.numberId),
        );
      }),
    ),
    ...companyNotices.map((notice) =>
      about(notice, null, () =>
        noticeEvent(notice, null, (definition, data) => event(definition, data, undefined)),
      ),
    ),
  ];
}

function noticeEvent(
  notice: NoticePiece,
  person: Person | null,
  event: (definition: EventDefinition, data: Record<string, unknown>) => OutgoingEvent,
): OutgoingEvent {
  const definition = eventDefinition(notice.event);
  if (!definition) throw new Error(`${notice.event} is not in the catalogue`);
  const at = pastTime(new Date(notice.data.at)).toISOString();
  const data = {
    ...notice.data,
    at,
    ...("person" in definition.data.properties ? { person } : {}),
  };
  try {
    return event(definition, data);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return event(definition, { ...data, details: null, isTruncated: true });
  }
}

function unknownData(status: StatusPiece): Record<string, unknown> {
  const { recipient, error, pricing } = status;
  return {
    messageId: null,
    providerMessageId: nameable(status.providerMessageId),
    chat: null,
    recipient: {
      contactId: null,
      phone: phoneOrNull(recipient.phone ?? null),
      lid: recipient.lid ?? null,
      userId: recipient.userId ?? null,
      username: recipient.username ?? null,
      name: recipient.name ?? null,
    },
    at: pastTime(status.at).toISOString(),
    error,
    ...(pricing ? { pricing } : {}),
  };
}

/** What two repetitions of the same news have in common. In a group each member has a status of their own. */
function hashOf(one: NoticePiece | StatusPiece): Buffer {
  const text =
    one.kind === "notice"
      ? `notice\0${one.key}`
      : [
          "status",
          one.providerMessageId,
          one.state,
          one.recipient.phone,
          one.recipient.userId,
        ].join("\0");
  return createHash("sha256").update(text).digest();
}
