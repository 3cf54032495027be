/**
 * One definition makes publishers, consumers, stream set-up, JSON Schemas, asyncapi.yaml, docs/events.md
 * and permissions. Inside a version only optional fields are added; a breaking change is a new version
 * published beside the old one.
 */
import type { Static, TObject } from "typebox";
import type { CompanyId, NumberId } from "../ids.ts";

export const FAMILIES = [
  "session",
  "pairing",
  "message",
  "number",
  "company",
  "contact",
  "call",
  "template",
  "account",
] as const;
export type Family = (typeof FAMILIES)[number];

export type EventDefinition<Type extends string = string, Data extends TObject = TObject> = {
  /** `<family>.<event>`, past tense. */
  type: Type;
  version: number;
  /** When it is emitted, what it does not promise, what a consumer does next. Goes into the documents. */
  description: string;
  data: Data;
};

export type EventData<Definition extends EventDefinition> = Static<Definition["data"]>;

export function defineEvent<const Type extends `${Family}.${string}`, Data extends TObject>(
  definition: EventDefinition<Type, Data>,
): EventDefinition<Type, Data> {
  return definition;
}

/** Whom an event is about. `numberId` is missing for facts about the whole company. */
export type EventKey = { companyId: CompanyId; numberId?: NumberId | undefined };

/** `<family>.<event>.<companyId>.<numberId>`, `_` where there is no number. */
export function eventSubject(definition: EventDefinition, key: EventKey): string {
  return `${definition.type}.${key.companyId}.${key.numberId ?? "_"}`;
}
