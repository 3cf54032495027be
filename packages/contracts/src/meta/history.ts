/**
 * Old chats that the owner of a number shares: one notice for each chunk, and its messages. Of a file a chunk has only
 * that there was one; the file comes later, in a message with the same id, which must not look like a repetition. So
 * what holds its place is told in the notice and nowhere else.
 */
import { type Json, isObject, listOf, objectOf, textOf } from "./json.ts";
import { readMessage } from "./messages.ts";
import { noticeOf, type Origin } from "./notices.ts";
import { type People, phoneText } from "./people.ts";
import type { MetaInput } from "./types.ts";

export function historyOf(origin: Origin, value: Json, people: People): MetaInput[] {
  const chunks = listOf(value["history"]);
  if (chunks.length === 0) {
    const details = value;
    const errors = value["errors"];
    return [noticeOf(origin, { type: "number.history_shared", details, errors })];
  }
  return chunks.flatMap((chunk) => chunkOf(origin, objectOf(chunk), people));
}

function chunkOf(origin: Origin, chunk: Json, people: People): MetaInput[] {
  const told: MetaInput[] = [];
  const placeholders: unknown[] = [];
  let messages = 0;
  const threads = listOf(chunk["threads"]);
  for (const one of threads) {
    const thread = objectOf(one);
    for (const element of listOf(thread["messages"])) {
      messages += 1;
      if (objectOf(element)["type"] === "media_placeholder") {
        placeholders.push(element);
        continue;
      }
      const read = isObject(element) ? readMessage(element, foundIn(origin, thread, people)) : null;
      if (read?.input) told.push(read.input, ...(read.same ? [read.same] : []));
      else told.push(noticeOf(origin, { type: "number.notified", details: element }));
    }
  }
  const { threads: _told, ...rest } = chunk;
  const files = placeholders.length > 0 ? { placeholders } : {};
  const details = { ...rest, threads: threads.length, messages, ...files };
  const errors = chunk["errors"];
  return [noticeOf(origin, { type: "number.history_shared", details, errors }), ...told];
}

function foundIn({ route, now }: Origin, thread: Json, people: People) {
  const { displayPhone } = route;
  const other = phoneText(thread["id"]) ?? textOf(objectOf(thread["context"])["wa_id"]);
  return { people, displayPhone, event: "imported" as const, thread: other, now };
}
