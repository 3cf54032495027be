/** Chats and people as the functions of the database answer them, and as events tell them. */
import {
  type Chat,
  type ChatType,
  type CompanyId,
  type EventData,
  type EventDefinition,
  makeEvent,
  type NumberId,
  type OutgoingEvent,
  type Person,
} from "@manyline/contracts";

type Text = string | null;
/** contact_no, id, phone, lid, user id, username, name, is new, ids of those merged into it */
export type PersonRow = [number | null, Text, Text, Text, Text, Text, Text, boolean, string[]];
/** chat_no, id, type, contact id, phone, name */
export type ChatRow = [number, string, ChatType, Text, Text, Text];

const PHONE = /^[1-9][0-9]{5,14}$/;

/** WhatsApp has a few senders that are no phone number, such as `0`. */
export const phoneOrNull = (phone: string | null): string | null =>
  phone !== null && PHONE.test(phone) ? phone : null;

export function personOf([, contactId, phone, lid, userId, username, name]: PersonRow): Person {
  return { contactId, phone: phoneOrNull(phone), lid, userId, username, name };
}

export function chatOf([, id, type, contactId, phone, name]: ChatRow): Chat {
  return { id, type, contactId, phone: phoneOrNull(phone), name };
}

/** Who the number itself is in its own messages. */
export function ownPerson(source: { phone: string | null }): Person {
  const phone = phoneOrNull(source.phone);
  return { contactId: null, phone, lid: null, userId: null, username: null, name: null };
}

/** About whom an event is, and who tells it. */
export type EventSource = {
  companyId: CompanyId;
  numberId: NumberId;
  /** For the envelope's `source`. */
  service: string;
  traceparent?: string | undefined;
};

export function tell<Definition extends EventDefinition>(
  source: EventSource,
  definition: Definition,
  data: EventData<Definition>,
  seq?: number,
): OutgoingEvent {
  const { companyId, numberId, service, traceparent } = source;
  return makeEvent(definition, { companyId, numberId }, data, {
    service,
    at: new Date(),
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(seq === undefined ? {} : { seq }),
  });
}
