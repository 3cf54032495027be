/**
 * Answers every text that comes in, once, whatever happens: kill it at any moment and start it again.
 *
 *     MANYLINE_URL=http://127.0.0.1:3000 MANYLINE_COMPANY=962302 MANYLINE_TOKEN=… node answer-bot.ts
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { ManylineClient, isEvent, messageReceived, sseSource, subscribe } from "@manyline/client";

const { MANYLINE_URL, MANYLINE_COMPANY, MANYLINE_TOKEN } = process.env;
if (!MANYLINE_URL || !MANYLINE_COMPANY || !MANYLINE_TOKEN)
  throw new Error("MANYLINE_URL, MANYLINE_COMPANY and MANYLINE_TOKEN are needed");
const access = { url: MANYLINE_URL, companyId: MANYLINE_COMPANY, token: MANYLINE_TOKEN };
const place = process.env["PLACE_FILE"] ?? "answer-bot.place";
const manyline = new ManylineClient(access);

const subscription = subscribe(
  sseSource({
    ...access,
    only: ["message.received"],
    // Where to go on after a restart. Some seconds of events come again, by the same ids.
    ...(existsSync(place) ? { since: new Date(readFileSync(place, "utf8")) } : {}),
    onProgress: (since) => {
      writeFileSync(`${place}.new`, since.toISOString());
      renameSync(`${place}.new`, place);
    },
    onState: (state, error) => {
      process.stdout.write(error instanceof Error ? `${state}: ${error.message}\n` : `${state}\n`);
    },
  }),
  {
    // One event at a time in each chat, in order; when this throws, the event comes again.
    handler: async (event) => {
      if (!isEvent(event, messageReceived) || event.data.type !== "text") return;
      const { messageId, chat, text } = event.data;
      // The key makes the answer one, also when the event is handled twice.
      await manyline.send(
        { type: "text", to: chat.id, replyTo: messageId, text: `You wrote: ${text}` },
        { key: `answer-${messageId}` },
      );
    },
  },
);
process.once("SIGTERM", () => void subscription.close());
await subscription.done;
