/** A claimed message says by which id Meta knows the person: of many it is the only name there is. */
import { type Kysely, sql } from "kysely";
import { onlyFor, run } from "./helpers.ts";

const SIGNATURE = "claim_sends(int[], int[], bigint[], int[], int)";

/** What a function answers can only be changed by making it anew. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const { rows } = await sql<{ text: string }>`select pg_get_functiondef(oid) as text from pg_proc
    where proname = 'claim_sends' and pronamespace = 'public'::regnamespace`.execute(db);
  const text = [
    ["lid text, group_id text", "lid text, user_id text, group_id text"],
    ["p.lid, r.provider_chat_id", "p.lid, p.user_id, r.provider_chat_id"],
  ].reduce((whole, [before = "", after = ""]) => {
    const parts = whole.split(before);
    if (parts.length !== 2) throw new Error(`claim_sends has not once: ${before}`);
    return parts.join(after);
  }, rows[0]?.text ?? "");
  await run(db, `drop function ${SIGNATURE};`);
  await run(db, text);
  await run(db, onlyFor(SIGNATURE, "worker"));
}
