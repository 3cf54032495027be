/** Who may do what with messages, people, chats, files and the journal. */
import type { Kysely } from "kysely";
import {
  ANY_HELD,
  ANY_HELD_COMPANY,
  grant,
  onlyFor,
  OWN,
  policy,
  protect,
  run,
} from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, security);
}

const WRITE_AUTH_JOURNAL =
  "write_auth_journal(int, int, bigint, boolean, bytea, text[], text[], bytea[], text[], text[], text, text, text[], bytea, bytea[], bytea[])";
const MESSAGE = "company_no, message_id, number_no, chat_no, contact_no, direction, state, seq";
const WHAT = "provider_message_id, type, text, content, at, state_at";
const QUEUED = "is_open, is_next, lane, send_after, expires_at, attempts, traceparent";
const PERSON = "name, phone, lid, user_id, username";
const REMOVED =
  "exists (select 1 from removed_numbers r where r.company_no = {t}.company_no and r.number_no = {t}.number_no)";

/** What the functions above may do as the owner of the tables: delete what is old, or of a removed number. */
function deletable(table: string, isOld: string): string[] {
  const using = `${isOld} or ${REMOVED.replaceAll("{t}", table)}`;
  return [policy(table, "owner", "select", "true"), policy(table, "owner", "delete", using)];
}

const security = [
  protect(
    "contacts",
    "contact_aliases",
    "chats",
    "messages",
    "messages_default",
    "media",
    "inbound_journal",
    "seen",
    "idempotency",
    "removed_numbers",
  ),
  onlyFor("message_id_from(timestamptz)", "app", "worker"),
  onlyFor("create_message_partitions(int)", "worker"),
  onlyFor("drop_message_partitions(int)", "worker"),
  onlyFor(WRITE_AUTH_JOURNAL, "worker"),
  onlyFor("delete_old_journal(interval)", "worker"),
  onlyFor("delete_old_seen(interval)", "worker"),
  onlyFor("delete_old_idempotency(interval)", "worker"),
  onlyFor("delete_old_media(interval)", "worker"),
  onlyFor("note_removed_number()"),
  onlyFor("purge_removed_numbers(int)", "worker"),

  policy("removed_numbers", "owner", "all", "true"),
  policy("messages_default", "owner", "all", "true"),
  ...deletable("messages", "false"),
  ...deletable("media", "created_at < clock_timestamp()"),
  ...deletable("inbound_journal", "done_at is not null"),
  policy("inbound_journal", "owner", "insert", ANY_HELD),
  ...deletable("seen", "at < clock_timestamp()"),
  policy("idempotency", "owner", "select", "true"),
  policy("idempotency", "owner", "delete", "created_at < clock_timestamp()"),

  grant("worker", "select, update (value, done_at)", "inbound_journal"),
  policy("inbound_journal", "worker", "select", "true"),
  policy("inbound_journal", "worker", "update", ANY_HELD),
  grant("worker", "select, insert (company_no, number_no, hash)", "seen"),
  policy("seen", "worker", "select", "true"),
  policy("seen", "worker", "insert", ANY_HELD),

  grant(
    "worker",
    `select, insert (company_no, contact_id, ${PERSON}), update (${PERSON}, merged_into, updated_at)`,
    "contacts",
  ),
  policy("contacts", "worker", "select", "true"),
  policy("contacts", "worker", "insert", ANY_HELD_COMPANY),
  policy("contacts", "worker", "update", ANY_HELD_COMPANY),
  grant(
    "worker",
    "select, insert (company_no, kind, value, contact_no), update (contact_no)",
    "contact_aliases",
  ),
  policy("contact_aliases", "worker", "select", "true"),
  policy("contact_aliases", "worker", "insert", ANY_HELD_COMPANY),
  policy("contact_aliases", "worker", "update", ANY_HELD_COMPANY),
  grant(
    "worker",
    `select, insert (company_no, number_no, chat_id, type, contact_no, provider_chat_id, name),
      update (contact_no, name, seq, last_message_at, last_inbound_at, merged_into)`,
    "chats",
  ),
  policy("chats", "worker", "select", "true"),
  policy("chats", "worker", "insert", ANY_HELD),
  policy("chats", "worker", "update", ANY_HELD),
  grant(
    "worker",
    `select, insert (${MESSAGE}, ${WHAT}), update (contact_no, state, seq, type, text, content, at, state_at,
      edited_at, deleted_at, reactions, error, is_open, is_next, send_after, attempts, claimed_epoch, claimed_at)`,
    "messages",
  ),
  policy("messages", "worker", "select", "true"),
  policy("messages", "worker", "insert", ANY_HELD),
  policy("messages", "worker", "update", ANY_HELD),
  grant(
    "worker",
    `select, insert (company_no, media_id, number_no, message_id, kind, mime_type, bytes, sha256, file_name, source),
      update (source, state, location, bytes, stored_at)`,
    "media",
  ),
  policy("media", "worker", "select", "true"),
  policy("media", "worker", "insert", ANY_HELD),
  policy("media", "worker", "update", ANY_HELD),

  grant("app", `select, insert (company_no, contact_id, ${PERSON})`, "contacts"),
  policy("contacts", "app", "select", OWN),
  policy("contacts", "app", "insert", OWN),
  grant("app", "select, insert (company_no, kind, value, contact_no)", "contact_aliases"),
  policy("contact_aliases", "app", "select", OWN),
  policy("contact_aliases", "app", "insert", OWN),
  grant(
    "app",
    `select, insert (company_no, number_no, chat_id, type, contact_no, provider_chat_id, name),
      update (seq, last_message_at)`,
    "chats",
  ),
  policy("chats", "app", "select", OWN),
  policy("chats", "app", "insert", OWN),
  policy("chats", "app", "update", OWN),
  grant("app", `select, insert (${MESSAGE}, ${WHAT}, ${QUEUED})`, "messages"),
  policy("messages", "app", "select", OWN),
  policy("messages", "app", "insert", `${OWN} and direction = 'out' and state = 'queued'`),
  // The sealed source (where WhatsApp keeps the file, and its key) is for the owner.
  grant(
    "app",
    `select (company_no, media_id, number_no, message_id, kind, mime_type, bytes, sha256, file_name, state,
        location, created_at, stored_at),
      insert (company_no, media_id, number_no, kind, mime_type, bytes, sha256, file_name, state, location,
        stored_at)`,
    "media",
  ),
  policy("media", "app", "select", OWN),
  policy("media", "app", "insert", OWN),
  grant("app", "select, insert (company_no, key, request_hash, message_id)", "idempotency"),
  policy("idempotency", "app", "select", OWN),
  policy("idempotency", "app", "insert", OWN),
].join("\n");
