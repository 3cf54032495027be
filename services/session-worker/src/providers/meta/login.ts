/**
 * A number of the Cloud API has no connection: it is open from the moment Meta has confirmed that its token sees
 * it under its account, until Meta refuses the token, the number or the account.
 */
import type { Readable } from "node:stream";
import { FencedError, type Send } from "@manyline/db";
import { graphRule, pairPauseMs } from "../../domain/graph-errors.ts";
import {
  FileGoneError,
  type FileSource,
  type LoginConnection,
  type LoginHandlers,
  type NumberRef,
  type SendOutcome,
} from "../provider.ts";
import { graphMessage, UnwritableError } from "./contents.ts";
import { withFlow } from "./flows.ts";
import { type Graph, GraphRefusal, GraphSilence } from "./graph.ts";
import type { MetaPlace, MetaStore } from "./store.ts";

/** How a number ends, as in domain/closing-reasons.ts. */
export const ENDS = { token: 471, place: 472, locked: 403, unavailable: 503 } as const;

const REST_MS = 90_000;
const UPLOAD_MS = 120_000;
/** So many chats are remembered as written to too often. */
const PAIRS = 1_000;

export type MetaParts = { graph: Graph; store: MetaStore; files: FileSource };

export async function openMetaLogin(
  number: NumberRef,
  { graph, store, files }: MetaParts,
  handlers: LoginHandlers,
): Promise<LoginConnection | undefined> {
  const place = await store.load(number.fence);
  if (!place) return undefined;
  let isOver = false;
  const end = (code: number, message: string): void => {
    if (isOver) return;
    isOver = true;
    handlers.onClosed({ code, message });
  };
  const pairs = new Map<string, number>();

  /** Undefined: it may be tried again after a pause. */
  const endOf = (error: unknown): number | undefined => {
    if (!(error instanceof GraphRefusal)) return undefined;
    const { reaction } = graphRule(error);
    return reaction === "token" || reaction === "place" || reaction === "locked"
      ? ENDS[reaction]
      : undefined;
  };

  const confirm = async (): Promise<void> => {
    try {
      const phone = await confirmPlace(graph, place);
      if (isOver) return;
      if (!(await store.activate(number.fence, phone))) {
        end(ENDS.place, "another number is active there");
      } else handlers.onOpen();
    } catch (error) {
      if (error instanceof FencedError) handlers.onFenced();
      else if (error instanceof NotThereError) end(ENDS.place, error.message);
      else end(endOf(error) ?? ENDS.unavailable, error instanceof Error ? error.message : "failed");
    }
  };
  // As with a connection: what comes of it is told after this function has returned.
  setImmediate(() => void confirm());

  const refused = (send: Send, error: GraphRefusal): SendOutcome => {
    const rule = graphRule(error);
    const { reaction } = rule;
    switch (reaction) {
      case "token":
      case "place":
      case "locked":
        end(ENDS[reaction], error.message);
        return { kind: "lost", mayHaveLeft: false, isOver: true };
      case "rest":
        return { kind: "later", inMs: error.retryAfterMs ?? REST_MS };
      case "pair": {
        const tries = pairs.get(send.chatId) ?? 0;
        pairs.delete(send.chatId);
        pairs.set(send.chatId, tries + 1);
        const [oldest] = pairs.keys();
        if (pairs.size > PAIRS && oldest !== undefined) pairs.delete(oldest);
        return { kind: "later", inMs: pairPauseMs(tries) };
      }
      case "slow_down":
      case "restriction":
      case "again":
      case "fail":
        return { kind: "refused", code: String(error.code), rule: { ...rule, reaction } };
    }
  };

  const send = async (one: Send): Promise<SendOutcome> => {
    if (isOver) return { kind: "lost", mayHaveLeft: false, isOver: true };
    let body: object;
    try {
      const mediaId = one.content?.media
        ? await upload(graph, place, one, await files.open(number, one))
        : undefined;
      body = graphMessage(await withFlow(one, number, store), mediaId);
    } catch (error) {
      if (error instanceof FileGoneError) return { kind: "impossible", error: "MEDIA_UNAVAILABLE" };
      if (error instanceof UnwritableError) return { kind: "impossible", error: "NOT_ACCEPTED" };
      if (error instanceof GraphRefusal) return refused(one, error);
      return { kind: "lost", mayHaveLeft: false, isOver };
    }
    try {
      const path = `${place.phoneNumberId}/messages`;
      const answer = await graph.call("POST", path, place.token, { json: body });
      pairs.delete(one.chatId);
      const id = messageIdIn(answer);
      return {
        kind: "taken",
        at: new Date(),
        ...(id === undefined ? {} : { providerMessageId: id }),
      };
    } catch (error) {
      if (error instanceof GraphRefusal) return refused(one, error);
      // Meta knows no key that would keep it from sending twice.
      return { kind: "lost", mayHaveLeft: true, isOver };
    }
  };

  return {
    isRepeatable: false,
    close: () => {
      isOver = true;
    },
    heard: () => undefined,
    send,
    askTimelock: () => Promise.resolve(undefined),
    checkPhones: () => Promise.reject(new Error("the Cloud API does not tell who has WhatsApp")),
    markRead: async (_chat, messages) => {
      for (const { providerMessageId } of messages) {
        const json = {
          messaging_product: "whatsapp",
          status: "read",
          message_id: providerMessageId,
        };
        await graph.call("POST", `${place.phoneNumberId}/messages`, place.token, { json });
      }
    },
    // Typing is shown together with a message that is marked as read, which nobody names here.
    showTyping: () => Promise.resolve(),
    logout: () => {
      isOver = true;
      return Promise.resolve(true);
    },
  };
}

class NotThereError extends Error {}

/** The number's phone, in digits. Throws NotThereError when the account does not have the number. */
async function confirmPlace(graph: Graph, place: MetaPlace): Promise<string | null> {
  const { wabaId, phoneNumberId, token } = place;
  const fields = "display_phone_number,verified_name,quality_rating,status,throughput";
  const number = await graph.call("GET", `${phoneNumberId}?fields=${fields}`, token);
  const list = await graph.call("GET", `${wabaId}/phone_numbers?fields=id&limit=500`, token);
  const data: unknown[] = Array.isArray(list["data"]) ? list["data"] : [];
  const isThere = data.some((one) => String(Object(one)["id"]) === phoneNumberId);
  if (!isThere) throw new NotThereError("the account does not have this number");
  const shown = number["display_phone_number"];
  const digits = typeof shown === "string" ? shown.replaceAll(/[^0-9]/g, "") : "";
  return /^[1-9][0-9]{5,14}$/.test(digits) ? digits : null;
}

async function upload(graph: Graph, place: MetaPlace, send: Send, file: Readable): Promise<string> {
  const { mimeType = "application/octet-stream", fileName } = send.content?.media ?? {};
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for await (const chunk of file as AsyncIterable<Uint8Array>) chunks.push(new Uint8Array(chunk));
  const form = new FormData();
  form.set("messaging_product", "whatsapp");
  form.set("type", mimeType);
  form.set("file", new Blob(chunks, { type: mimeType }), fileName ?? "file");
  const path = `${place.phoneNumberId}/media`;
  const { id } = await graph.call("POST", path, place.token, { form }, UPLOAD_MS);
  if (typeof id !== "string") throw new GraphSilence("an upload without an id");
  return id;
}

function messageIdIn(answer: Record<string, unknown>): string | undefined {
  const [first] = Array.isArray(answer["messages"]) ? (answer["messages"] as unknown[]) : [];
  const id: unknown = Object(first)["id"];
  return typeof id === "string" ? id : undefined;
}
