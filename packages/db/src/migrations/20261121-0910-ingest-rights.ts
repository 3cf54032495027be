/** What webhook-ingest may do: what the owner of a number may do with what comes in, for numbers it has routed to. */
import type { Kysely } from "kysely";
import { ANY_HELD, ANY_HELD_COMPANY, grant, HELD_EPOCH, policy, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, security);
}

const PERSON = "name, phone, lid, user_id, username";
const MESSAGE = "company_no, message_id, number_no, chat_no, contact_no, direction, state, seq";
const HELD_EVENT = `case when number_no is null then ${ANY_HELD_COMPANY} else ${ANY_HELD} end`;
/** What concerns a company and no number is seen under the number 0, which does not exist. */
const HELD_SEEN = `case when number_no = 0 then ${ANY_HELD_COMPANY} else ${ANY_HELD} end`;

const TEXTS = (count: number): string => Array.from({ length: count }, () => "text[]").join(", ");
const FUNCTIONS = [
  "note_held(int[], int[], bigint[])",
  "hold_fences(int[], int[], bigint[])",
  "hold_fence(int, int, bigint)",
  "held_epoch(int)",
  "message_id_from(timestamptz)",
  "merge_contacts(int, bigint, bigint)",
  `resolve_contacts(int, ${TEXTS(6)})`,
  "merge_chats(int, int, bigint, bigint)",
  `resolve_chats(int, int, bigint[], ${TEXTS(3)})`,
  `open_inbound(int, int, bigint, ${TEXTS(6)}, int[], ${TEXTS(3)}, text[], int[], int[], ${TEXTS(2)}, bytea[], timestamptz[])`,
  `store_inbound(int, int, text[], bigint[], bigint[], text[], text[], bigint[], ${TEXTS(4)}, timestamptz[], ${TEXTS(4)}, bytea[])`,
  `apply_changes(int, ${TEXTS(4)}, timestamptz[])`,
  "state_rank(text)",
  "note_statuses(int, int, bigint, text[], text[], text[], timestamptz[], jsonb[])",
];

const security = [
  ...FUNCTIONS.map((name) => `grant execute on function ${name} to manyline_ingest;`),

  // To route, and to lock a fence; locking asks for the right to update, and the check refuses every update.
  grant(
    "ingest",
    "select (company_no, number_no, number_id, provider, waba_id, phone_number_id, is_active, phone_e164)",
    "numbers",
  ),
  policy("numbers", "ingest", "select", "true"),
  grant("ingest", "select (company_no, company_id)", "companies"),
  policy("companies", "ingest", "select", "true"),
  grant("ingest", "select, update (login)", "number_fence"),
  policy("number_fence", "ingest", "select", "true"),
  policy("number_fence", "ingest", "update", "true", "false"),
  grant("ingest", "select", "data_keys"),
  policy("data_keys", "ingest", "select", "true"),

  grant(
    "ingest",
    `select, insert (company_no, contact_id, ${PERSON}), update (${PERSON}, merged_into, updated_at)`,
    "contacts",
  ),
  policy("contacts", "ingest", "all", ANY_HELD_COMPANY),
  grant(
    "ingest",
    "select, insert (company_no, kind, value, contact_no), update (contact_no)",
    "contact_aliases",
  ),
  policy("contact_aliases", "ingest", "all", ANY_HELD_COMPANY),
  grant(
    "ingest",
    `select, insert (company_no, number_no, chat_id, type, contact_no, provider_chat_id, name),
      update (contact_no, seq, last_message_at, last_inbound_at, merged_into, name)`,
    "chats",
  ),
  policy("chats", "ingest", "all", ANY_HELD),
  grant(
    "ingest",
    `select, insert (${MESSAGE}, provider_message_id, type, text, content, at, state_at),
      update (provider_message_id, state, seq, type, text, content, at, state_at, edited_at, deleted_at,
        reactions, error, is_open, is_next)`,
    "messages",
  ),
  policy("messages", "ingest", "select", ANY_HELD),
  policy("messages", "ingest", "insert", ANY_HELD),
  policy(
    "messages",
    "ingest",
    "update",
    ANY_HELD,
    `coalesce(claimed_epoch, 0) <= ${HELD_EPOCH} and ${ANY_HELD}`,
  ),
  grant(
    "ingest",
    `select (company_no, media_id, number_no, message_id, state), update (source, state),
      insert (company_no, media_id, number_no, message_id, kind, mime_type, bytes, sha256, file_name, source)`,
    "media",
  ),
  policy("media", "ingest", "all", ANY_HELD),
  grant("ingest", "select, insert (company_no, number_no, hash)", "seen"),
  policy("seen", "ingest", "select", HELD_SEEN),
  policy("seen", "ingest", "insert", HELD_SEEN),
  grant(
    "ingest",
    "select, insert (company_no, event_id, number_no, type, subject, envelope)",
    "whatsapp_events",
  ),
  grant("ingest", "usage", "sequence whatsapp_events_no"),
  policy("whatsapp_events", "ingest", "select", HELD_EVENT),
  policy("whatsapp_events", "ingest", "insert", HELD_EVENT),
].join("\n");
