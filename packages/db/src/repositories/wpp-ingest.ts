/** Webhooks of WPP servers: whose they are, and the commit of what they tell. */
import type { CompanyId, NumberId, WppItem, WppStatusInput } from "@manyline/contracts";
import { sql } from "kysely";
import type { Keyring } from "../crypto/keyring.ts";
import { type Database, type Executor, firstRow, inTransaction, rows, type Tx } from "../open.ts";
import { appendEvents, type EventInput } from "./events.ts";
import { nameable } from "./inbound-batch.ts";
import type { ChatInput, InboundItem, InboundSource } from "./inbound-items.ts";
import { type StoredGroups, storeGroups } from "./ingest.ts";
import type { Group, StatusPiece, Teller } from "./ingest-routes.ts";
import { taskOfEcho } from "./wpp-echoes.ts";
import {
  type StoredFiles,
  wppCallOf,
  wppInboundItems,
  isNamed,
  wppStatusOf,
} from "./wpp-inbound.ts";
import { noteWppSession } from "./wpp-sessions.ts";

/** The number that a key in the address of a webhook stands for. */
export type WppHook = {
  companyNo: number;
  numberNo: number;
  webhookKey: string;
  /** What its server calls its session; null: it has none. */
  session: string | null;
  shardId: number;
};

/** Undefined: no WPP number has this key. Role ingest. */
export async function findWppHook(
  executor: Executor,
  webhookKey: string,
): Promise<WppHook | undefined> {
  return firstRow(
    executor,
    sql<WppHook>`select n.company_no, n.number_no, n.webhook_key, n.settings ->> 'wppAccountNumber' as session,
        c.shard_id
      from numbers n join companies c on c.company_no = n.company_no
      where n.webhook_key = ${webhookKey}::uuid and n.provider = 'wpp'`,
  );
}

/** A webhook whose key was good, as its normaliser has read it. */
export type WppWebhook = {
  hook: Pick<WppHook, "companyNo" | "numberNo">;
  items: readonly WppItem[];
  files: StoredFiles;
  arrivedAt: Date;
  /** Statuses of messages that nobody knows are told as such; else they are left for later. */
  isLast: boolean;
};

/**
 * `early`: by place of the webhook, statuses and echoes of messages that are unknown while one of that number is being
 * sent, whose name is not stored yet; nothing was done with these. `changed`: numbers whose session has changed.
 */
export type WppResult = StoredGroups & { early: WppItem[][]; changed: number[] };

/**
 * Commits webhooks of WPP numbers in one transaction, as `commitIngest` does Meta's; of a number that is gone meanwhile
 * nothing is stored. Role ingest.
 */
export async function commitWpp(
  db: Database,
  keyring: Keyring,
  teller: Teller,
  webhooks: readonly WppWebhook[],
): Promise<WppResult> {
  const unnamed = await nameTasks(db, teller, [
    ...namesIn(webhooks),
    ...(await namesByEcho(db, teller, webhooks)),
  ]);
  const committed = await inTransaction(db, async (tx) => {
    const sources = await holdNumbers(tx, teller, webhooks);
    const works = [...sources].map(([numberNo, source]) => ({
      source,
      mine: [...webhooks.entries()].filter(([, { hook }]) => hook.numberNo === numberNo),
    }));
    const early: WppItem[][] = webhooks.map(() => []);
    const groups: Group[] = [];
    for (const { source, mine } of works) {
      const all = mine.flatMap(([place, webhook]) =>
        webhook.items.map((item) => ({ place, webhook, item })),
      );
      const late = await lateOf(tx, source, all);
      for (const { place, item } of late) early[place]?.push(item);
      const skipped = new Set(late.map(({ item }) => item));
      groups.push(
        await groupOf(
          tx,
          source,
          all.filter(({ item }) => !skipped.has(item)),
        ),
      );
    }
    const result = await storeGroups(tx, keyring, groups);
    const told: EventInput[] = [];
    const changed: number[] = [];
    for (const { source, mine } of works) {
      const { companyNo, numberNo } = source.fence;
      for (const { input } of mine.flatMap(([, { items }]) => items)) {
        if (input?.kind !== "session") continue;
        const events = await noteWppSession(tx, keyring, source, input);
        told.push(...events.map((event) => ({ companyNo, numberNo, event })));
        if (!changed.includes(numberNo)) changed.push(numberNo);
      }
    }
    result.events.push(...(await appendEvents(tx, told)));
    return { ...result, early, changed };
  });
  // The answer that names the task may have been stored since.
  await nameTasks(db, teller, unnamed);
  return committed;
}

type Held = {
  companyNo: number;
  numberNo: number;
  epoch: number;
  companyId: CompanyId;
  numberId: NumberId;
  phone: string | null;
};

/** In the order of their keys, as everywhere where several are locked. */
async function holdNumbers(
  tx: Tx,
  teller: Teller,
  webhooks: readonly Pick<WppWebhook, "hook">[],
): Promise<Map<number, InboundSource>> {
  const hooks = new Map(webhooks.map(({ hook }) => [hook.numberNo, hook]));
  const held = await rows(
    tx,
    sql<Held>`select * from hold_numbers(${[...hooks.values()].map(({ companyNo }) => companyNo)}::int[],
      ${[...hooks.keys()]}::int[])`,
  );
  return new Map(
    held.map(({ companyNo, numberNo, epoch, companyId, numberId, phone }) => [
      numberNo,
      {
        fence: { companyNo, numberNo, epoch },
        companyId,
        numberId,
        provider: "wpp",
        phone,
        ...teller,
      },
    ]),
  );
}

type Piece = { place: number; webhook: WppWebhook; item: WppItem };

/** The message that was sent, if it is about one: a status, or the message itself as the phone shows it. */
function sentIn({ item: { input } }: Piece): string | null {
  const isSent = input?.kind === "message" ? input.event === "echoed" : input?.kind === "status";
  return isSent && input && "providerMessageId" in input ? input.providerMessageId : null;
}

type Name = { hook: WppWebhook["hook"]; task: string; id: string };

function namesIn(webhooks: readonly WppWebhook[]): Name[] {
  return webhooks.flatMap(({ hook, items }) =>
    items.flatMap(({ input }) => {
      if (input?.kind !== "status" || input.whatsappMessageId === null) return [];
      return [
        { hook, task: nameable(input.providerMessageId), id: nameable(input.whatsappMessageId) },
      ];
    }),
  );
}

/** Of echoes that have waited in vain for the status that names them. */
async function namesByEcho(
  db: Database,
  teller: Teller,
  webhooks: readonly WppWebhook[],
): Promise<Name[]> {
  const names: Name[] = [];
  for (const { hook, items, isLast } of webhooks) {
    const echoes = items.filter((item) => isLast && item.facts.event === "message.outgoing");
    if (echoes.length === 0) continue;
    await inTransaction(db, async (tx) => {
      const source = (await holdNumbers(tx, teller, [{ hook }])).get(hook.numberNo);
      for (const item of source ? echoes : []) {
        const task = source && (await taskOfEcho(tx, source.fence, item));
        const id = item.facts.messageId;
        if (task !== undefined && id !== null) names.push({ hook, task, id: nameable(id) });
      }
    });
  }
  return names;
}

/**
 * A message is called by WhatsApp's id from the moment it is told, and found by that of its task as well. Each in a
 * transaction of its own, which holds no more than this message: others lock chats before messages. Answers those whose
 * message is not known by its task (yet, or any more).
 */
async function nameTasks(db: Database, teller: Teller, names: readonly Name[]): Promise<Name[]> {
  const left: Name[] = [];
  for (const name of names) {
    const { hook, task, id } = name;
    const isDone = await inTransaction(db, async (tx) => {
      const held = await holdNumbers(tx, teller, [name]);
      if (held.size === 0) return false;
      const row = await firstRow(
        tx,
        sql<{
          named: boolean;
        }>`select name_task(${hook.companyNo}, ${hook.numberNo}, ${task}, ${id}) as named`,
      );
      return row?.named === true;
    });
    if (!isDone) left.push(name);
  }
  return left;
}

/** Statuses that came before the answer, or before the status, in which the server names their message. */
async function lateOf(
  tx: Tx,
  { fence }: InboundSource,
  pieces: readonly Piece[],
): Promise<Piece[]> {
  const open = pieces.filter((piece) => !piece.webhook.isLast && sentIn(piece) !== null);
  if (open.length === 0) return [];
  const ids = open.map((piece) => nameable(sentIn(piece) ?? ""));
  const unknown = await rows(
    tx,
    sql<{
      place: number;
    }>`select i.place::int as place from unnest(${ids}::text[]) with ordinality as i (id, place)
      where exists (select from messages m where m.company_no = ${fence.companyNo} and m.number_no = ${fence.numberNo}
          and (m.is_open and m.state = 'sending'
            or m.message_id > message_id_from(statement_timestamp() - interval '1 hour') and m.direction = 'out'
              and m.state in ('sent', 'delivered') and m.task_id is null
              and m.state_at > statement_timestamp() - interval '10 seconds'))
        and not exists (select from messages m where m.company_no = ${fence.companyNo}
          and m.number_no = ${fence.numberNo} and m.provider_message_id = i.id)
        and not exists (select from messages m where m.company_no = ${fence.companyNo}
          and m.number_no = ${fence.numberNo} and m.task_id = i.id)
      order by 1`,
  );
  return unknown.flatMap(({ place }) => open[place - 1] ?? []);
}

async function groupOf(tx: Tx, source: InboundSource, pieces: readonly Piece[]): Promise<Group> {
  const named = await namesOf(tx, source, pieces);
  const nameOf = (id: string): string => named.get(nameable(id)) ?? id;
  const group: Group = {
    source,
    items: [],
    statuses: [],
    same: [],
    notices: [],
    companyNotices: [],
  };
  for (const piece of pieces) {
    const { item, webhook } = piece;
    const { input } = item;
    if (input?.kind === "call") {
      const call = wppCallOf(item, input, webhook.arrivedAt);
      if (call.person) group.items.push({ kind: "person", person: call.person });
      group.notices.push(call);
    } else if (input?.kind === "status") {
      const name = nameOf(input.providerMessageId);
      const status = wppStatusOf(input);
      if (status) group.statuses.push(renamed(status, name));
      else if (!(await isEcho(tx, source, name, DELETING, null)))
        group.items.push(...(await deletionOf(tx, source, input, name)));
    } else if (!(await isOwnEcho(tx, source, item, nameOf))) {
      const items = wppInboundItems([item], webhook.arrivedAt, webhook.files);
      group.items.push(...items.map((one) => ("target" in one ? retargeted(one, nameOf) : one)));
    }
  }
  return group;
}

/** An edit at the platform takes the message back as well. */
const DELETING = ["delete", "edit"];

/** A reaction or a deletion by the number itself that was sent from here: its result tells it. */
async function isOwnEcho(
  tx: Tx,
  source: InboundSource,
  { input }: WppItem,
  nameOf: (id: string) => string,
): Promise<boolean> {
  if (input?.kind !== "reaction" && input?.kind !== "delete") return false;
  if (input.from !== null) return false;
  const [kinds, emoji] =
    input.kind === "delete" ? [DELETING, null] : [["reaction"], input.emoji ?? ""];
  return isEcho(tx, source, nameOf(input.target), kinds, emoji);
}

/** Whether such a change of the message was sent from here a moment ago, or is being sent. */
async function isEcho(
  tx: Tx,
  { fence }: InboundSource,
  target: string,
  kinds: readonly string[],
  emoji: string | null,
): Promise<boolean> {
  const found = await firstRow(
    tx,
    sql<object>`select 1 as one from messages m
      join messages x on x.company_no = m.company_no and x.chat_no = m.chat_no
        and x.message_id > message_id_from(clock_timestamp() - interval '1 day') collate "C"
      where m.company_no = ${fence.companyNo} and m.number_no = ${fence.numberNo}
        and m.provider_message_id = ${nameable(target)} and x.direction = 'out'
        and x.type = any (${kinds}::text[]) and x.content -> 'context' ->> 'messageId' = m.message_id
        and (x.state = 'sending' or x.state_at > clock_timestamp() - interval '10 minutes'
          and x.state in ('sent', 'delivered', 'read', 'unknown'))
        and (${emoji}::text is null or coalesce(x.content ->> 'emoji', '') = ${emoji}) limit 1`,
  );
  return found !== undefined;
}

const renamed = (status: StatusPiece, providerMessageId: string): StatusPiece => ({
  ...status,
  providerMessageId,
});

function retargeted(
  item: Extract<InboundItem, { target: string }>,
  nameOf: (id: string) => string,
): InboundItem {
  return { ...item, target: nameOf(item.target) };
}

/** By the ids of their tasks, what the messages that are named in these pieces are called now. */
async function namesOf(
  tx: Tx,
  { fence }: InboundSource,
  pieces: readonly Piece[],
): Promise<Map<string, string>> {
  const ids = pieces.flatMap(({ item: { input } }) => {
    if (input?.kind === "status") return [nameable(input.providerMessageId)];
    return input?.kind === "reaction" || input?.kind === "delete" ? [nameable(input.target)] : [];
  });
  if (ids.length === 0) return new Map();
  const found = await rows(
    tx,
    sql<{ taskId: string; id: string }>`select task_id, provider_message_id as id from messages
      where company_no = ${fence.companyNo} and number_no = ${fence.numberNo} and task_id = any (${ids}::text[])`,
  );
  return new Map(found.map(({ taskId, id }) => [taskId, id]));
}

/** A message that its sender has deleted; where it was, the message itself knows best. */
async function deletionOf(
  tx: Tx,
  { fence }: InboundSource,
  { recipient, at }: WppStatusInput,
  target: string,
): Promise<InboundItem[]> {
  const found = await firstRow(
    tx,
    sql<{ groupId: string | null; phone: string | null; lid: string | null }>`
      select c.provider_chat_id as group_id, p.phone, p.lid from messages m
      join chats h on h.company_no = m.company_no and h.chat_no = m.chat_no
      join chats c on c.company_no = h.company_no and c.chat_no = case when h.merged_into is null then h.chat_no else h.merged_into end
      left join contacts p on p.company_no = c.company_no and p.contact_no = c.contact_no
      where m.company_no = ${fence.companyNo} and m.number_no = ${fence.numberNo}
        and m.provider_message_id = ${nameable(target)} and m.contact_no is null
      order by m.message_id desc limit 1`,
  );
  const person = found && (found.phone ?? found.lid) !== null ? found : recipient;
  const chat: ChatInput =
    found && found.groupId !== null
      ? { type: "group", providerChatId: found.groupId }
      : { type: "direct", person: { phone: person.phone ?? null, lid: person.lid ?? null } };
  if (chat.type === "direct" && !found && !isNamed(recipient)) return [];
  const stanza = { providerMessageId: `deleted_${target}`, chat, from: null, at, target };
  return [{ ...stanza, kind: "delete", dedupe: `delete\0${target}` }];
}
