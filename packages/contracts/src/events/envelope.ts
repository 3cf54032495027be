/** The CloudEvents 1.0 envelope every event travels in, as JSON, at most 256 KiB. */
import { Type, type Static } from "typebox";
import { Compile, type Validator } from "typebox/compile";
import { newEventId } from "../ids.ts";
import { eventDefinition } from "./catalogue.ts";
import { eventSubject, type EventData, type EventDefinition, type EventKey } from "./define.ts";
import { Timestamp } from "./fields.ts";

export const MAX_EVENT_BYTES = 256 * 1024;
export const EVENT_SOURCE_PREFIX = "manyline/";

export const EnvelopeSchema = Type.Object({
  specversion: Type.Literal("1.0"),
  id: Type.String({ description: "evt_…; also Nats-Msg-Id: drop what you have seen" }),
  source: Type.String({ description: "manyline/<service>" }),
  type: Type.String(),
  subject: Type.String({ description: "<companyId>/<numberId or _>" }),
  time: Timestamp,
  datacontenttype: Type.Literal("application/json"),
  dataschema: Type.String({ description: "manyline:<type>:v<version>" }),
  companyid: Type.String(),
  numberid: Type.Optional(Type.String()),
  seq: Type.Optional(Type.Integer({ description: "order within a chat" })),
  traceparent: Type.Optional(Type.String()),
  data: Type.Unknown(),
});
export type Envelope<Data = unknown> = Omit<Static<typeof EnvelopeSchema>, "data"> & { data: Data };

/** An event that is ready to be stored and published. `text`: the envelope as JSON, which is written once. */
export type OutgoingEvent = { natsSubject: string; envelope: Envelope; text?: string };

/** The envelope as JSON. */
export function eventText({ text, envelope }: Pick<OutgoingEvent, "text" | "envelope">): string {
  return text ?? JSON.stringify(envelope);
}

const validators = new Map<EventDefinition, Validator>();
function validator(definition: EventDefinition): Validator {
  let compiled = validators.get(definition);
  if (!compiled) {
    compiled = Compile(definition.data);
    validators.set(definition, compiled);
  }
  return compiled;
}

/** `manyline:session.connected:v1` */
export function dataSchemaId(definition: EventDefinition): string {
  return `manyline:${definition.type}:v${definition.version}`;
}

/**
 * Makes an event. Throws a TypeError when the data does not fit its schema or is too large: that is a
 * mistake of the caller, never of a user.
 */
export function makeEvent<Definition extends EventDefinition>(
  definition: Definition,
  key: EventKey,
  data: EventData<Definition>,
  context: { service: string; at: Date; traceparent?: string | undefined; seq?: number },
): OutgoingEvent {
  const check = validator(definition);
  if (!check.Check(data)) {
    const [first] = check.Errors(data);
    throw new TypeError(
      `${definition.type}: data${first?.instancePath ?? ""} ${first?.message ?? "is not valid"}`,
    );
  }
  const envelope: Envelope = {
    specversion: "1.0",
    id: newEventId(),
    source: `${EVENT_SOURCE_PREFIX}${context.service}`,
    type: definition.type,
    subject: `${key.companyId}/${key.numberId ?? "_"}`,
    time: context.at.toISOString(),
    datacontenttype: "application/json",
    dataschema: dataSchemaId(definition),
    companyid: key.companyId,
    ...(key.numberId === undefined ? {} : { numberid: key.numberId }),
    ...(context.seq === undefined ? {} : { seq: context.seq }),
    ...(context.traceparent === undefined ? {} : { traceparent: context.traceparent }),
    data,
  };
  const text = JSON.stringify(envelope);
  if (Buffer.byteLength(text) > MAX_EVENT_BYTES) {
    throw new TypeError(`${definition.type}: larger than ${MAX_EVENT_BYTES} bytes`);
  }
  return { natsSubject: eventSubject(definition, key), envelope, text };
}

const envelopeCheck = Compile(EnvelopeSchema);

/** Reads an event off the wire. `unknown-event`: a type or version this build does not know (park it). */
export function parseEvent(
  value: unknown,
):
  | { ok: true; definition: EventDefinition; envelope: Envelope }
  | { ok: false; reason: "not-an-event" | "unknown-event" | "bad-data" } {
  if (!envelopeCheck.Check(value)) return { ok: false, reason: "not-an-event" };
  const definition = eventDefinition(value.type);
  if (!definition || value.dataschema !== dataSchemaId(definition))
    return { ok: false, reason: "unknown-event" };
  if (!validator(definition).Check(value.data)) return { ok: false, reason: "bad-data" };
  return { ok: true, definition, envelope: value };
}
