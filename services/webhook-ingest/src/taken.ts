import { normaliseMeta, parseMetaBody, readMetaHead } from "@manyline/contracts";
import type { IngestWebhook } from "@manyline/db";

/**
 * A webhook on its way to its commit. What is in it is read right before that: thousands may wait, and read they take
 * three times the room.
 */
export type Taken = {
  raw: Buffer;
  app: IngestWebhook["app"];
  /** The business account that it names first; those of one stay in their order. */
  account: string;
  entryNo?: number | undefined;
};

/** As it came, signed or from the journal. @throws SyntaxError for what is no JSON */
export function takenOf(raw: Buffer, app: Taken["app"]): Taken {
  const { wabaId } = readMetaHead(parseMetaBody(raw.toString()));
  return { raw, app, account: wabaId ?? "" };
}

/** With everything that is in it. `body`: if it is parsed already. @throws SyntaxError for what is no JSON */
export function readTaken(
  { raw, app, entryNo }: Pick<Taken, "raw" | "app" | "entryNo">,
  now: Date,
  body: unknown = parseMetaBody(raw.toString()),
): IngestWebhook {
  return { webhook: normaliseMeta(body, now), body, raw, app, entryNo };
}
