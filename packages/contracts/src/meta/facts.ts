/** Small things that messages, statuses and notices have in common. */
import type { MessageError } from "../message.ts";
import { cut, listOf, numberOf, objectOf, textOf } from "./json.ts";
import type { MetaFacts } from "./types.ts";

/** Seconds, as Meta writes them; from here on they are taken for milliseconds. */
const SECONDS_END = 100_000_000_000;
/** The end of year 9999: later times have another form in RFC 3339. */
const LAST_TIME = 253_402_300_799_999;

/** The time in a text or number of seconds; `fallback` where there is none. */
export function timeOf(value: unknown, fallback: Date): Date {
  const number = numberOf(value);
  if (number === undefined || number < 0) return fallback;
  const ms = number < SECONDS_END ? number * 1_000 : number;
  return ms <= LAST_TIME ? new Date(ms) : fallback;
}

const LONGEST = 2_000;
/** There is one, rarely two. So many fit into an event, whatever is in them. */
const MOST = 5;

export function errorsOf(value: unknown): MessageError[] {
  const errors = listOf(value).flatMap((one) => {
    const error = objectOf(one);
    const code = textOf(error["code"]);
    const title = textOf(error["title"]) ?? textOf(error["message"]);
    if (code === null && title === null) return [];
    const details = textOf(objectOf(error["error_data"])["details"]) ?? textOf(error["details"]);
    return [
      {
        code: cut(code ?? "unknown", LONGEST),
        title: cut(title ?? "", LONGEST),
        ...(details === null ? {} : { details: cut(details, LONGEST) }),
      },
    ];
  });
  return errors.slice(0, MOST);
}

/** The code of the first error, as the JSON has it. */
export function errorCode(value: unknown): string | null {
  return textOf(objectOf(listOf(value)[0])["code"]);
}

const NO_FACTS: MetaFacts = {
  row: "change",
  type: null,
  from: null,
  fromUserId: null,
  id: null,
  text: null,
  timestamp: null,
  contextId: null,
  status: null,
  recipientId: null,
  recipientUserId: null,
  errorCode: null,
};

export function factsOf(row: MetaFacts["row"], facts: Partial<MetaFacts>): MetaFacts {
  return { ...NO_FACTS, ...facts, row };
}
