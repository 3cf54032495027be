import {
  EVENT_TEXT_LENGTH,
  type ChatSummary,
  type ChatType,
  type Contact,
  type Message,
  type MessageDirection,
  type MessageError,
  type MessageState,
  type Provider,
} from "@manyline/contracts";
import { type RawBuilder, sql } from "kysely";
import { type Executor, firstRow, rows } from "../open.ts";
import { ownPerson, phoneOrNull } from "./message-rows.ts";
import type { SendContent } from "./sends.ts";

type MessageRow = {
  messageId: string;
  numberId: string;
  provider: Provider;
  ownPhone: string | null;
  direction: MessageDirection;
  state: MessageState;
  seq: number;
  providerMessageId: string;
  type: Message["type"];
  text: string | null;
  content: SendContent | null;
  at: Date;
  createdAt: Date;
  stateAt: Date | null;
  editedAt: Date | null;
  deletedAt: Date | null;
  expiresAt: Date | null;
  reactions: Record<string, string> | null;
  error: MessageError | null;
  chatId: string;
  chatType: ChatType;
  chatName: string | null;
  chatContactId: string | null;
  chatPhone: string | null;
  contactId: string | null;
  phone: string | null;
  lid: string | null;
  userId: string | null;
  username: string | null;
  name: string | null;
  /** In lists: there is more of it. */
  isCut?: boolean;
};

/** So much of a message is in a list, characters and bytes: a page of what strangers sent must fit into memory. */
const LISTED = { text: EVENT_TEXT_LENGTH, content: 262_144 } as const;

/** Of a message `m`; chats and people as they go on today. */
const columnsWith = (text: string, content: string) =>
  sql.raw(
    [
      "m.message_id, n.number_id, n.provider, n.phone_e164 as own_phone, m.direction, m.state, m.seq",
      `m.provider_message_id, m.type, ${text}, ${content}, m.at, m.created_at, m.state_at, m.edited_at`,
      "m.deleted_at, m.expires_at, m.reactions, m.error, r.chat_id, r.type as chat_type",
      "coalesce(r.name, t.name) as chat_name, t.contact_id as chat_contact_id, t.phone as chat_phone",
      "p.contact_id, p.phone, p.lid, p.user_id, p.username, p.name",
    ].join(", "),
  );
const messageColumns = columnsWith("m.text", "m.content");
const isLong = `octet_length(m.content::text) > ${LISTED.content}`;
const listedColumns = columnsWith(
  `left(m.text, ${LISTED.text}) as text`,
  `case when not ${isLong} then m.content end as content,
    coalesce(char_length(m.text) > ${LISTED.text}, false) or coalesce(${isLong}, false) as is_cut`,
);
const messageTables = sql.raw(`
  join numbers n on n.company_no = m.company_no and n.number_no = m.number_no
  join chats c on c.company_no = m.company_no and c.chat_no = m.chat_no
  join chats r on r.company_no = c.company_no and r.chat_no = case when c.merged_into is null then c.chat_no else c.merged_into end
  left join contacts tc on tc.company_no = m.company_no and tc.contact_no = r.contact_no
  left join contacts t on t.company_no = m.company_no and t.contact_no = case when tc.merged_into is null then tc.contact_no else tc.merged_into end
  left join contacts pc on pc.company_no = m.company_no and pc.contact_no = m.contact_no
  left join contacts p on p.company_no = m.company_no and p.contact_no = case when pc.merged_into is null then pc.contact_no else pc.merged_into end`);

/** One message, in or out, or a change that was sent. */
export async function getMessage(
  executor: Executor,
  companyNo: number,
  messageId: string,
): Promise<Message | undefined> {
  const row = await firstRow(
    executor,
    sql<MessageRow>`select ${messageColumns} from messages m ${messageTables}
      where m.company_no = ${companyNo} and m.message_id = ${messageId}`,
  );
  return row && messageOf(row);
}

export type MessageQuery = {
  companyNo: number;
  numberNo: number;
  /** One conversation, by its own id or by the person's; also what was written before two were merged. */
  chatId?: string | undefined;
  contactId?: string | undefined;
  /** The last id of the page before. */
  before?: string | undefined;
  limit: number;
};

/**
 * Messages of a number, the newest first; changes that were sent are left out. Of a very long one there is the
 * beginning of its text; all of it has `getMessage`.
 */
export async function listMessages(executor: Executor, query: MessageQuery): Promise<Message[]> {
  const { companyNo, numberNo, chatId, contactId, before = null, limit } = query;
  const page = sql`m.company_no = ${companyNo} and m.number_no = ${numberNo}
    and (${before}::text is null or m.message_id < ${before}) and m.type not in ('reaction', 'edit', 'delete')`;
  const isChat = chatId !== undefined || contactId !== undefined;
  const from = isChat
    ? sql`(${chatsOf(query)}) h cross join lateral (
        select * from messages m where ${page} and m.chat_no = h.chat_no
        order by m.message_id desc limit ${limit}) m`
    : sql`messages m`;
  const found = await rows(
    executor,
    sql<MessageRow>`select ${listedColumns} from ${from} ${messageTables}
      where ${page} order by m.message_id desc limit ${limit}`,
  );
  return found.map(messageOf);
}

/** The chats of a conversation: the one that goes on, and those that were merged into it. */
function chatsOf({ companyNo, numberNo, chatId, contactId }: MessageQuery): RawBuilder<unknown> {
  const root =
    chatId === undefined
      ? sql`select coalesce(c.merged_into, c.chat_no) from chats c
          join contacts k on k.company_no = c.company_no and k.contact_no = c.contact_no
          join contacts g on g.company_no = ${companyNo} and g.contact_id = ${contactId ?? null}
          where c.company_no = ${companyNo} and c.number_no = ${numberNo}
            and coalesce(k.merged_into, k.contact_no) = coalesce(g.merged_into, g.contact_no)`
      : sql`select coalesce(c.merged_into, c.chat_no) from chats c
          where c.company_no = ${companyNo} and c.number_no = ${numberNo} and c.chat_id = ${chatId}`;
  return sql`select a.chat_no from chats a where a.company_no = ${companyNo} and a.number_no = ${numberNo}
    and coalesce(a.merged_into, a.chat_no) in (${root})`;
}

/** Of one that was just written as well: a reader gets the same. */
export function messageOf(row: MessageRow): Message {
  const { media = null, context, emoji: _ofReactions, ...content } = row.content ?? {};
  const iso = (at: Date | null): string | null => at?.toISOString() ?? null;
  const { contactId, lid, userId, username, name } = row;
  return {
    messageId: row.messageId,
    providerMessageId: row.providerMessageId,
    provider: row.provider,
    numberId: row.numberId,
    direction: row.direction,
    status: row.state,
    statusAt: iso(row.stateAt),
    seq: row.seq,
    chat: {
      id: row.chatId,
      type: row.chatType,
      contactId: row.chatContactId,
      phone: phoneOrNull(row.chatPhone),
      name: row.chatName,
    },
    from:
      row.direction === "in"
        ? { contactId, phone: phoneOrNull(row.phone), lid, userId, username, name }
        : ownPerson({ phone: row.ownPhone }),
    type: row.type,
    text: row.text,
    media,
    context: context
      ? { providerMessageId: context.providerMessageId, messageId: context.messageId }
      : null,
    ...content,
    ...(row.isCut === true ? { isTruncated: true } : {}),
    at: row.at.toISOString(),
    createdAt: row.createdAt.toISOString(),
    editedAt: iso(row.editedAt),
    deletedAt: iso(row.deletedAt),
    expiresAt: iso(row.expiresAt),
    error: row.error,
    reactions: Object.entries(row.reactions ?? {}).map(([who, emoji]) => ({
      contactId: who === "me" ? null : who,
      emoji,
    })),
  };
}

const chatColumns = sql.raw(
  [
    "c.chat_id as id, c.type, t.contact_id, t.phone, coalesce(c.name, t.name) as name, n.number_id",
    "c.last_message_at, c.last_inbound_at, c.seq",
  ].join(", "),
);

type ChatRow = Omit<ChatSummary, "lastMessageAt" | "lastInboundAt"> & {
  lastMessageAt: Date | null;
  lastInboundAt: Date | null;
};

/** A chat; of one that was merged the one that goes on. */
export async function getChat(
  executor: Executor,
  companyNo: number,
  chatId: string,
): Promise<ChatSummary | undefined> {
  const row = await firstRow(
    executor,
    sql<ChatRow>`select ${chatColumns} from chats o
      join chats c on c.company_no = o.company_no and c.chat_no = case when o.merged_into is null then o.chat_no else o.merged_into end
      join numbers n on n.company_no = c.company_no and n.number_no = c.number_no
      left join contacts w on w.company_no = c.company_no and w.contact_no = c.contact_no
      left join contacts t on t.company_no = c.company_no and t.contact_no = case when w.merged_into is null then w.contact_no else w.merged_into end
      where o.company_no = ${companyNo} and o.chat_id = ${chatId}`,
  );
  return row && chatOf(row);
}

/** A page of chats, and where the next one begins; null: this was the last. */
export type ChatPage = { chats: ChatSummary[]; next: string | null };

const CURSOR = /^([0-9]{1,17})\.(cht_[0-9a-f]{32})$/;

/**
 * Chats of a number, the one that was last written in first. `before`: `next` of the page before. A chat that
 * somebody writes in meanwhile moves to the front and may be on no later page.
 */
export async function listChats(
  executor: Executor,
  query: { companyNo: number; numberNo: number; before?: string | undefined; limit: number },
): Promise<ChatPage> {
  const { companyNo, numberNo, before = "", limit } = query;
  const [, at = null, chatId = null] = CURSOR.exec(before) ?? [];
  if (before !== "" && chatId === null) return { chats: [], next: null };
  const found = await rows(
    executor,
    sql<ChatRow & { place: string }>`select ${chatColumns}, c.place from (
        select *, floor(extract(epoch from coalesce(last_message_at, created_at)) * 1000000)::bigint::text as place
        from chats) c
      join numbers n on n.company_no = c.company_no and n.number_no = c.number_no
      left join contacts w on w.company_no = c.company_no and w.contact_no = c.contact_no
      left join contacts t on t.company_no = c.company_no and t.contact_no = case when w.merged_into is null then w.contact_no else w.merged_into end
      where c.company_no = ${companyNo} and c.number_no = ${numberNo} and c.merged_into is null
        and (${at}::bigint is null or (c.place::bigint, c.chat_id) < (${at}::bigint, ${chatId}))
      order by c.place::bigint desc, c.chat_id desc limit ${limit + 1}`,
  );
  const page = found.slice(0, limit);
  const last = page.at(-1);
  return {
    chats: page.map(({ place: _ofCursor, ...row }) => chatOf(row)),
    next: last && found.length > limit ? `${last.place}.${last.id}` : null,
  };
}

function chatOf(row: ChatRow): ChatSummary {
  return {
    ...row,
    phone: phoneOrNull(row.phone),
    lastMessageAt: row.lastMessageAt?.toISOString() ?? null,
    lastInboundAt: row.lastInboundAt?.toISOString() ?? null,
  };
}

const contactColumns = sql.raw(
  "c.contact_id as id, c.contact_id, c.phone, c.lid, c.user_id, c.username, c.name, c.created_at, c.updated_at",
);

type ContactRow = Omit<Contact, "createdAt" | "updatedAt"> & { createdAt: Date; updatedAt: Date };

/** A person; of a contact that was merged the one that goes on. */
export async function getContact(
  executor: Executor,
  companyNo: number,
  contactId: string,
): Promise<Contact | undefined> {
  const row = await firstRow(
    executor,
    sql<ContactRow>`select ${contactColumns} from contacts o
      join contacts c on c.company_no = o.company_no and c.contact_no = case when o.merged_into is null then o.contact_no else o.merged_into end
      where o.company_no = ${companyNo} and o.contact_id = ${contactId}`,
  );
  return row && contactOf(row);
}

/**
 * People of a company, the youngest first; `before`: the last id of the page before. `search`: a part of the
 * name or user name, or at least three digits of a phone or LID.
 */
export async function listContacts(
  executor: Executor,
  query: {
    companyNo: number;
    before?: string | undefined;
    search?: string | undefined;
    limit: number;
  },
): Promise<Contact[]> {
  const { companyNo, before = null, search, limit } = query;
  const found = await rows(
    executor,
    sql<ContactRow>`select ${contactColumns} from contacts c
      where c.company_no = ${companyNo} and c.merged_into is null ${search === undefined ? sql`` : matching(search)}
        and (${before}::text is null or c.contact_no < (select b.contact_no from contacts b
          where b.company_no = ${companyNo} and b.contact_id = ${before}))
      order by c.contact_no desc limit ${limit}`,
  );
  return found.map(contactOf);
}

/** Of contacts `c`. */
function matching(search: string): RawBuilder<unknown> {
  const part = `%${search.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;
  const isNumber = /^[\d\s()+./-]+$/.test(search);
  const digits = isNumber ? search.replaceAll(/\D/g, "") : "";
  const known =
    digits.length < 3
      ? sql``
      : sql`or exists (select from contact_aliases a where a.company_no = c.company_no
          and a.contact_no = c.contact_no and a.kind in ('phone', 'lid') and a.value like ${`%${digits}%`})`;
  return sql`and (c.name ilike ${part} or c.username ilike ${part} ${known})`;
}

function contactOf(row: ContactRow): Contact {
  return {
    ...row,
    phone: phoneOrNull(row.phone),
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}
