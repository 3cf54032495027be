/** Commands that are done beside the number's own life, and answered with what comes of them. */
import { type CommandArgs, SEND_BYTES } from "@manyline/contracts";
import {
  type CommandRow,
  getMedia,
  notePlaceOfMedia,
  type OwnedNumber,
  readMediaSource,
  setMediaGone,
  setMediaStored,
} from "@manyline/db";
import { locationOf } from "@manyline/media";
import { type LoginConnection, FileGoneError } from "../providers/provider.ts";
import type { WorkerContext } from "./context.ts";
import type { CommandOutcome, NumberJournal } from "./journal.ts";

type ErrandVerb = "check_phones" | "mark_read" | "show_typing";

export type ErrandParts = {
  context: WorkerContext;
  number: OwnedNumber;
  journal: NumberJournal;
  /** While it is open. */
  connection: LoginConnection | undefined;
};

const done = (result: object = {}): CommandOutcome => ({ state: "done", result });
const failed = (
  code: "NOT_CONNECTED" | "MEDIA_NOT_FOUND" | "WHATSAPP_REFUSED",
): CommandOutcome => ({ state: "failed", error: { code } });

/** Does it and stores what came of it. The gateway has checked the arguments. */
export async function runErrand(parts: ErrandParts, errand: CommandRow): Promise<void> {
  const outcome = await outcomeOf(parts, errand);
  await parts.journal.commit((entry) => entry.finish(errand.commandId, outcome));
}

async function outcomeOf(parts: ErrandParts, { verb, args }: CommandRow): Promise<CommandOutcome> {
  try {
    if (verb === "fetch_media") {
      return await fetchMedia(parts, args as CommandArgs<"fetch_media">);
    }
    if (verb === "check_number") {
      const { context, number, journal } = parts;
      const checks = await context.provider.check?.({ ...number, fence: journal.fence });
      return done({ checks: checks ?? [] });
    }
    if (verb === "upload_flow_key" || verb === "read_flow_key") {
      return await flowKey(parts, verb === "upload_flow_key");
    }
    if (!parts.connection) return failed("NOT_CONNECTED");
    return done(await overConnection(parts.connection, verb as ErrandVerb, args));
  } catch (error) {
    parts.context.reports.failed(verb, parts.number, error);
    return failed("WHATSAPP_REFUSED");
  }
}

async function flowKey(
  { context, number, journal }: ErrandParts,
  isUpload: boolean,
): Promise<CommandOutcome> {
  const found = await context.provider.flowKey?.({ ...number, fence: journal.fence }, isUpload);
  if (!found) return failed("NOT_CONNECTED");
  if (!("refused" in found)) return done(found);
  const { refused: code, ...facts } = found;
  return { state: "failed", error: { code, ...facts } };
}

async function overConnection(
  connection: LoginConnection,
  verb: ErrandVerb,
  args: object,
): Promise<object> {
  switch (verb) {
    case "check_phones": {
      const { phones } = args as CommandArgs<"check_phones">;
      return { results: await connection.checkPhones(phones) };
    }
    case "mark_read": {
      const { chat, messages } = args as CommandArgs<"mark_read">;
      await connection.markRead(chat, messages);
      return {};
    }
    case "show_typing": {
      const { chat, state, lastMessageId } = args as CommandArgs<"show_typing">;
      await connection.showTyping(chat, state, lastMessageId);
      return {};
    }
  }
}

/** Asked twice at once it is fetched twice: the same bytes end up at the same place. */
async function fetchMedia(
  { context, journal, number }: ErrandParts,
  { mediaId }: CommandArgs<"fetch_media">,
): Promise<CommandOutcome> {
  const { db, keyring, provider, media: store } = context;
  const { fence } = journal;
  const file = await readMediaSource(db, keyring, fence, mediaId);
  if (file?.state === "stored") return done();
  if (!file?.source) return failed("MEDIA_NOT_FOUND");
  const key = { companyNo: fence.companyNo, mediaId };
  try {
    const content = await provider.fetchFile(file.source, { ...number, fence });
    // Said first: whoever drops the row from now on, with its company for instance, has the file removed as well.
    const isWanted = await journal.commit((entry) =>
      notePlaceOfMedia(entry.tx, fence, mediaId, locationOf(key)),
    );
    if (!isWanted) return failed("MEDIA_NOT_FOUND");
    const stored = await store.put(key, content, { maxBytes: SEND_BYTES.document });
    if (file.sha256 !== null && file.sha256 !== stored.sha256) {
      await store.remove(stored.location);
      throw new FileGoneError("not the file that was announced");
    }
    const isKept = await journal
      .commit((entry) => setMediaStored(entry.tx, fence, mediaId, stored))
      .catch(async (error: unknown) => {
        // Let go meanwhile. A row that is still there takes care of its file; of one that is gone nobody would.
        const row = await getMedia(db, fence.companyNo, mediaId);
        if (!row) await store.remove(stored.location);
        throw error;
      });
    if (!isKept) await store.remove(stored.location);
    return isKept ? done() : failed("MEDIA_NOT_FOUND");
  } catch (error) {
    if (!(error instanceof FileGoneError)) throw error;
    await journal.commit((entry) => setMediaGone(entry.tx, fence, mediaId));
    return failed("MEDIA_NOT_FOUND");
  }
}
