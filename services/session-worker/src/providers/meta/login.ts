/**
 * A number of the Cloud API has no connection: it is open from the moment Meta has confirmed that its token sees
 * it under its account, until Meta refuses the token, the number or the account.
 */
import { FencedError, type MetaFacts, type Send } from "@manyline/db";
import type { Logger } from "@manyline/runtime";
import { askedWaitMs, graphRule, pairPauseMs } from "../../domain/graph-errors.ts";
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
import { type Graph, GraphRefusal } from "./graph.ts";
import { appOf, LIMIT_FIELDS, limitsIn, watchLimits } from "./limits.ts";
import { createSteps } from "./steps.ts";
import type { TemplateBook } from "./templates.ts";
import type { MetaPlace, MetaStore } from "./store.ts";
import { watchToken } from "./token-watch.ts";
import { uploadFile } from "./upload.ts";

/** How a number ends, as in domain/closing-reasons.ts. */
export const ENDS = { token: 471, place: 472, locked: 403, unavailable: 503 } as const;

const REST_MS = 90_000;
const PHONE = /^[1-9][0-9]{5,14}$/;
/** So many chats are remembered as written to too often. */
const PAIRS = 1_000;

export type MetaParts = { graph: Graph; store: MetaStore; files: FileSource; logger: Logger };

export async function openMetaLogin(
  number: NumberRef,
  { graph, store, files, logger, templates }: MetaParts & { templates: TemplateBook },
  handlers: LoginHandlers,
): Promise<LoginConnection | undefined> {
  const place = await store.load(number);
  const steps = createSteps(logger, number, place?.token);
  steps.note("token_read");
  if (!place) return undefined;
  let isOver = false;
  const limits = watchLimits({ number, place, graph, store, steps, handlers });
  let endWatch = (): void => undefined;
  const stop = (): void => {
    isOver = true;
    limits.end();
    endWatch();
  };
  const end = (code: number, message: string): void => {
    if (isOver) return;
    stop();
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

  /** Of what follows nothing keeps the number from working. */
  const keep = async (): Promise<void> => {
    endWatch = watchToken({ number, place, graph, store, steps, handlers });
    try {
      const portfolio = await portfolioOf(graph, place);
      await store.keepFacts(number.fence, { ...limits.known, ...portfolio }, place.token);
    } catch (error) {
      if (error instanceof FencedError) handlers.onFenced();
      else steps.note("facts", { error });
    }
  };

  const confirm = async (): Promise<void> => {
    try {
      const { phone, facts } = await confirmPlace(graph, place);
      if (isOver) return;
      if (!(await store.activate(number.fence, phone))) {
        end(ENDS.place, "another number is active there");
        return;
      }
      steps.note("confirmed");
      limits.start(facts);
      handlers.onOpen();
      void keep();
    } catch (error) {
      steps.note("confirmed", { error });
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
    const inMs = askedWaitMs(error.retryAfterMs);
    switch (reaction) {
      case "token":
      case "place":
      case "locked":
        end(ENDS[reaction], error.message);
        return { kind: "lost", mayHaveLeft: false, isOver: true };
      case "rest":
        return { kind: "later", inMs: inMs ?? REST_MS };
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
        return { kind: "refused", code: String(error.code), rule: { ...rule, reaction }, inMs };
    }
  };

  const send = async (one: Send): Promise<SendOutcome> => {
    if (isOver) return { kind: "lost", mayHaveLeft: false, isOver: true };
    let body: object;
    try {
      const mediaId = one.content?.media
        ? await uploadFile(graph, place, one.content.media, await files.open(number, one))
        : undefined;
      if (mediaId !== undefined) steps.note("uploaded", { send: one });
      const whole = await withFlow(one, number, store, (template) =>
        templates.flowButtons(graph, number.fence.companyNo, place, template),
      );
      body = graphMessage(whole, mediaId);
    } catch (error) {
      steps.note("sent", { send: one, error });
      if (error instanceof FileGoneError) return { kind: "impossible", error: "MEDIA_UNAVAILABLE" };
      if (error instanceof UnwritableError) return { kind: "impossible", error: "NOT_ACCEPTED" };
      if (error instanceof GraphRefusal) return refused(one, error);
      return { kind: "lost", mayHaveLeft: false, isOver };
    }
    try {
      const path = `${place.phoneNumberId}/messages`;
      const answer = await graph.call("POST", path, place, { json: body });
      steps.note("sent", { send: one });
      pairs.delete(one.chatId);
      const id = messageIdIn(answer);
      const otherPhone = otherPhoneIn(answer, one);
      return {
        kind: "taken",
        at: new Date(),
        ...(id === undefined ? {} : { providerMessageId: id }),
        ...(otherPhone === undefined ? {} : { otherPhone }),
      };
    } catch (error) {
      steps.note("sent", { send: one, error });
      if (error instanceof GraphRefusal) return refused(one, error);
      // Meta knows no key that would keep it from sending twice.
      return { kind: "lost", mayHaveLeft: true, isOver };
    }
  };

  const markRead = async (providerMessageId: string, more: object = {}): Promise<void> => {
    const json = {
      messaging_product: "whatsapp",
      status: "read",
      message_id: providerMessageId,
      ...more,
    };
    await graph.call("POST", `${place.phoneNumberId}/messages`, place, { json });
  };

  return {
    isRepeatable: false,
    close: stop,
    heard: () => undefined,
    nudge: () => limits.look(),
    send,
    askTimelock: () => Promise.resolve(undefined),
    checkPhones: () => Promise.reject(new Error("the Cloud API does not tell who has WhatsApp")),
    markRead: async (_chat, messages) => {
      for (const { providerMessageId } of messages) await markRead(providerMessageId);
      steps.note("read");
    },
    // Meta shows it together with the mark that a message was read, until the answer or for 25 s; it cannot be ended.
    showTyping: async (_chat, state, lastMessageId) => {
      if (state === "paused" || lastMessageId === undefined) return;
      await markRead(lastMessageId, { typing_indicator: { type: "text" } });
      steps.note("typing");
    },
    logout: () => {
      stop();
      return Promise.resolve(true);
    },
  };
}

class NotThereError extends Error {}

/** The number's phone, in digits, and what else Meta tells of it. Throws NotThereError when the account does not have it. */
async function confirmPlace(
  graph: Graph,
  place: MetaPlace,
): Promise<{ phone: string | null; facts: MetaFacts }> {
  const { wabaId, phoneNumberId } = place;
  const fields = `display_phone_number,verified_name,status,${LIMIT_FIELDS}`;
  const number = await graph.call("GET", `${phoneNumberId}?fields=${fields}`, place);
  const [list, app] = await Promise.all([
    graph.call("GET", `${wabaId}/phone_numbers?fields=id&limit=500`, place),
    appOf(graph, place),
  ]);
  const data: unknown[] = Array.isArray(list["data"]) ? list["data"] : [];
  const isThere = data.some((one) => String(Object(one)["id"]) === phoneNumberId);
  if (!isThere) throw new NotThereError("the account does not have this number");
  const shown = number["display_phone_number"];
  const digits = typeof shown === "string" ? shown.replaceAll(/[^0-9]/g, "") : "";
  return {
    phone: PHONE.test(digits) ? digits : null,
    facts: { ...limitsIn(number), ...app },
  };
}

/** The portfolio whose limit the number shares; a token that may not see it is not less good for that. */
async function portfolioOf(graph: Graph, place: MetaPlace): Promise<MetaFacts> {
  try {
    const account = await graph.call("GET", `${place.wabaId}?fields=owner_business_info`, place);
    const id: unknown = Object(account["owner_business_info"])["id"];
    return typeof id === "string" ? { portfolioId: id } : {};
  } catch {
    return {};
  }
}

function messageIdIn(answer: Record<string, unknown>): string | undefined {
  const [first] = Array.isArray(answer["messages"]) ? (answer["messages"] as unknown[]) : [];
  const id: unknown = Object(first)["id"];
  return typeof id === "string" ? id : undefined;
}

/** The phone by which Meta knows the person, where it is not the one written to: of some countries it drops or adds a digit. */
function otherPhoneIn(
  answer: Record<string, unknown>,
  { phone, groupId }: Send,
): string | undefined {
  if (phone === null || groupId !== null) return undefined;
  const [first] = Array.isArray(answer["contacts"]) ? (answer["contacts"] as unknown[]) : [];
  const waId: unknown = Object(first)["wa_id"];
  return typeof waId === "string" && PHONE.test(waId) && waId !== phone ? waId : undefined;
}
