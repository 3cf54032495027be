import { factsOf, errorCode } from "./facts.ts";
import { type Json, isObject, listOf, objectOf, textOf } from "./json.ts";
import { historyOf } from "./history.ts";
import { type Found, readMessage } from "./messages.ts";
import { elementOf, eventOf, noticeOf, noticesOf, type Origin } from "./notices.ts";
import { People, phoneText } from "./people.ts";
import { readStatus, statusFacts } from "./statuses.ts";
import type { MetaFacts, MetaInput, MetaItem, MetaRoute, MetaWebhook } from "./types.ts";

/** `wabaId`: of the first entry, for the order of webhooks. `isEmpty`: there is nothing in it. */
export type MetaHead = { isWhatsapp: boolean; wabaId: string | null; isEmpty: boolean };

/** What has to be known of a webhook before what is in it is read. */
export function readMetaHead(body: unknown): MetaHead {
  const webhook = objectOf(body);
  const entries = listOf(webhook["entry"]);
  return {
    isWhatsapp: textOf(webhook["object"]) === WHATSAPP,
    wabaId: textOf(objectOf(entries[0])["id"]),
    isEmpty: entries.length === 0,
  };
}

const WHATSAPP = "whatsapp_business_account";

/** Each may become an event. Meta's largest webhooks have some thousands. */
const MOST_LISTED = 100_000;
/** An element of a list takes no less: one and its comma. */
const LEAST_BYTES = 2;

/** Whether its lists have more than any webhook of Meta, and read it would not fit into the memory. `bytes`: its length. */
export function isOvergrown(body: unknown, bytes: number): boolean {
  if (bytes < MOST_LISTED * LEAST_BYTES) return false;
  let listed = 0;
  const open: unknown[] = [body];
  while (open.length > 0) {
    const one = open.pop();
    if (typeof one !== "object" || one === null) continue;
    if (Array.isArray(one)) listed += one.length;
    if (listed > MOST_LISTED) return true;
    for (const inner of Object.values(one)) open.push(inner);
  }
  return false;
}

/**
 * Reads a webhook of the Meta Cloud API: every entry, change, message and status, in their order. Pure and
 * total: whatever the JSON is, nothing is thrown and nothing left out; what has no shape of its own becomes a
 * notice that holds it. `now` stands in for times that are missing or unreadable.
 */
export function normaliseMeta(body: unknown, now: Date): MetaWebhook {
  const webhook = objectOf(body);
  const { isWhatsapp } = readMetaHead(body);
  const reader = new Reader(now);
  for (const [entryPlace, one] of listOf(webhook["entry"]).entries()) {
    const entry = objectOf(one);
    const changes = listOf(entry["changes"]);
    if (changes.length === 0) reader.oddity(entry, one, [entryPlace, 0]);
    for (const [place, change] of changes.entries()) {
      if (isObject(change)) reader.change(entry, change, [entryPlace, place]);
      else reader.oddity(entry, change, [entryPlace, place]);
    }
  }
  return { isWhatsapp, items: reader.items, oddities: reader.oddities };
}

type Place = MetaItem["place"];

/** What a value has besides its own lists. */
const FRAME = ["messaging_product", "metadata", "contacts"];
const LISTS = ["messages", "statuses", "message_echoes"];

class Reader {
  readonly items: MetaItem[] = [];
  oddities = 0;
  readonly #now: Date;

  constructor(now: Date) {
    this.#now = now;
  }

  /** Something that is no change; told as it came. */
  oddity(entry: Json, details: unknown, place: Place): void {
    this.oddities += 1;
    const route = { wabaId: textOf(entry["id"]), phoneNumberId: null, displayPhone: null };
    const origin = { route, field: "", time: entry["time"], now: this.#now };
    const input = noticeOf(origin, { type: "account.notified", details, event: "unreadable" });
    this.items.push({ route, field: "", place, facts: null, input });
  }

  change(entry: Json, change: Json, place: Place): void {
    const field = textOf(change["field"]) ?? "";
    const value = objectOf(change["value"]);
    const route = routeOf(entry, value);
    const origin: Origin = { route, field, time: entry["time"], now: this.#now };
    const people = new People(value);
    const before = this.items.length;
    const add = (input: MetaInput, facts: MetaFacts | null = null): void => {
      this.items.push({ route, field, place, facts, input });
    };

    this.#lists(origin, value, people, add);
    const hasRows = this.items.length > before;
    const facts = hasRows ? null : changeFacts(value);
    if (!isObject(change["value"])) {
      add(noticeOf(origin, { type: "account.notified", details: change["value"] }), facts);
      this.oddities += 1;
      return;
    }
    const rest = this.#rest(origin, value, people, hasRows);
    for (const [index, input] of rest.entries()) add(input, index === 0 ? facts : null);
  }

  /** Messages, statuses and echoes, wherever they are. */
  #lists(
    origin: Origin,
    value: Json,
    people: People,
    add: (input: MetaInput, facts: MetaFacts | null) => void,
  ): void {
    const { field, route, now } = origin;
    const { displayPhone } = route;
    const isLive = field === "messages" || field === "";
    const found = (event: Found["event"]): Found => ({
      people,
      displayPhone,
      event,
      thread: null,
      now,
    });
    const asNotice = (details: unknown, facts: MetaFacts | null, event: string): void => {
      if (facts === null) this.oddities += 1;
      const type = route.phoneNumberId === null ? "account.notified" : "number.notified";
      add(noticeOf(origin, { type, details, event }), facts);
    };
    const message = (element: unknown, event: Found["event"]): void => {
      if (!isObject(element)) {
        asNotice(element, null, "unreadable");
        return;
      }
      const { facts, input, same } = readMessage(element, found(event));
      if (input) add(input, facts);
      else asNotice(element, facts, facts.id === null ? "message_without_id" : "message_of_nobody");
      if (same) add(same, null);
    };
    // What comes in another field (history) is not somebody who writes now.
    for (const one of listOf(value["messages"])) message(one, isLive ? "received" : "imported");
    for (const one of listOf(value["statuses"])) {
      if (field === "calls") {
        const facts = isObject(one) ? statusFacts(one) : null;
        for (const input of elementOf(origin, one, people)) add(input, facts);
        continue;
      }
      const { facts, input } = readStatus(objectOf(one), people, now);
      if (input) add(input, facts);
      else asNotice(one, isObject(one) ? facts : null, statusWord(one));
    }
    for (const one of listOf(value["message_echoes"])) message(one, "echoed");
  }

  /** What a change tells besides; something, if it has told nothing yet. */
  #rest(origin: Origin, value: Json, people: People, hasRows: boolean): MetaInput[] {
    const { field } = origin;
    if (field === "history") return this.#history(origin, value, people, hasRows);
    const isMessages = field === "messages" || field === "" || field === "smb_message_echoes";
    if (!isMessages && !hasRows) return noticesOf(origin, value, people);

    const told: MetaInput[] = [];
    const errors = value["errors"];
    if (listOf(errors).length > 0) {
      const type =
        origin.route.phoneNumberId === null ? "account.notified" : "number.error_reported";
      told.push(noticeOf(origin, { type, details: { errors }, errors }));
    }
    for (const call of listOf(value["calls"])) {
      told.push(...elementOf({ ...origin, field: "calls" }, call, people));
    }
    const known = new Set([...FRAME, ...LISTS, "errors", "calls"]);
    const others = Object.entries(value).filter(([name]) => !known.has(name));
    const isEmpty = !hasRows && told.length === 0;
    if (others.length > 0 || isEmpty) {
      const details = isEmpty ? value : Object.fromEntries(others);
      const type = origin.route.phoneNumberId === null ? "account.notified" : "number.notified";
      told.push(noticeOf(origin, { type, details }));
    }
    return told;
  }

  #history(origin: Origin, value: Json, people: People, hasRows: boolean): MetaInput[] {
    if (hasRows && value["history"] === undefined) return [];
    return historyOf(origin, value, people);
  }
}

function statusWord(status: unknown): string {
  const { status: word, type } = objectOf(status);
  return [textOf(type), "status", textOf(word)].filter((part) => part !== null).join(":");
}

function routeOf(entry: Json, value: Json): MetaRoute {
  const metadata = objectOf(value["metadata"]);
  return {
    wabaId: textOf(entry["id"]),
    phoneNumberId: textOf(metadata["phone_number_id"]),
    displayPhone:
      phoneText(metadata["display_phone_number"]) ?? phoneText(value["display_phone_number"]),
  };
}

function changeFacts(value: Json): MetaFacts {
  return factsOf("change", { type: eventOf(value), errorCode: errorCode(value["errors"]) });
}
