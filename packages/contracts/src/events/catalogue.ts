/** The whole list of events. A definition that is not here does not exist. */
import * as account from "./account.ts";
import * as call from "./call.ts";
import * as company from "./company.ts";
import * as contact from "./contact.ts";
import type { EventDefinition } from "./define.ts";
import * as message from "./message.ts";
import * as number from "./number.ts";
import * as pairing from "./pairing.ts";
import * as session from "./session.ts";
import * as template from "./template.ts";

export const EVENTS: readonly EventDefinition[] = [
  ...Object.values(session),
  ...Object.values(pairing),
  ...Object.values(company),
  ...Object.values(message),
  ...Object.values(contact),
  ...Object.values(number),
  ...Object.values(call),
  ...Object.values(template),
  ...Object.values(account),
];

const byType = new Map(EVENTS.map((definition) => [definition.type, definition]));

/** The definition of an event type, or undefined if the catalogue does not know it. */
export function eventDefinition(type: string): EventDefinition | undefined {
  return byType.get(type);
}

/** The subjects the EVENTS stream stores: one per family that has events. */
export function streamSubjects(): string[] {
  return [
    ...new Set(EVENTS.map((definition) => `${definition.type.split(".")[0] ?? ""}.>`)),
  ].toSorted();
}
