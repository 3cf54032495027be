/** A webhook as rows of facts, for people who compare and for the fixtures in `fixtures/meta/expected.tsv`. */
import type { MetaFacts, MetaItem, MetaWebhook } from "./types.ts";

export const META_COLUMNS = [
  "row",
  "entry_id",
  "field",
  "phone_number_id",
  "n_messages",
  "n_statuses",
  "type",
  "from",
  "from_user_id",
  "id",
  "text",
  "timestamp",
  "context_id",
  "status",
  "recipient_id",
  "recipient_user_id",
  "error_code",
] as const;

const TEXT_LENGTH = 80;

/** The totals of the webhook, then each message, status, echo and other change. Null: the key is absent. */
export function metaRows({ items }: MetaWebhook): (string | null)[][] {
  const told = items.flatMap((item) => (item.facts ? [{ item, facts: item.facts }] : []));
  const count = (row: MetaFacts["row"]): string =>
    String(told.filter(({ facts }) => facts.row === row).length);
  const ids = [...new Set(items.flatMap(({ route }) => route.phoneNumberId ?? []))].toSorted();
  const nothing = Array.from({ length: META_COLUMNS.length - 6 }, () => null);
  const file = ["file", null, null, ids.join("|") || null, count("message"), count("status")];
  return [[...file, ...nothing], ...told.map(({ item, facts }) => rowOf(item, facts))];
}

function rowOf({ route, field }: MetaItem, facts: MetaFacts): (string | null)[] {
  return [
    facts.row,
    route.wabaId,
    field,
    route.phoneNumberId,
    null,
    null,
    facts.type,
    facts.from,
    facts.fromUserId,
    facts.id,
    facts.text === null ? null : Array.from(facts.text).slice(0, TEXT_LENGTH).join(""),
    facts.timestamp,
    facts.contextId,
    facts.status,
    facts.recipientId,
    facts.recipientUserId,
    facts.errorCode,
  ];
}

/** A row as a line of a TSV file. */
export function metaLine(cells: readonly (string | null)[]): string {
  return cells
    .map((cell) =>
      (cell ?? "").replaceAll("\\", "\\\\").replaceAll("\t", "\\t").replaceAll("\n", "\\n"),
    )
    .join("\t");
}
