/** docs/errors.md, docs/events.md and the tables of docs/state-machines.md, made from the contracts. */
import { ERRORS, ERROR_CODES } from "../errors.ts";
import { EVENTS } from "../events/catalogue.ts";
import { SESSION_REASONS, SESSION_REASON_CODES } from "../session.ts";

function table(head: string[], rows: string[][]): string {
  return [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

export function errorsDocument(): string {
  return `# Errors

Every refusal is \`application/problem+json\` (RFC 9457) with a stable \`code\`, a plain \`title\`, what to do
(\`remedy\`), whether repeating helps (\`retry\`: now, later, never) and a \`requestId\`. \`success: false\` and
\`error\` repeat it for clients of the first API. Where a time is known, \`Retry-After\` holds seconds. Texts of
5xx answers never hold details; only \`NO_OWNER\` says so when an operator has paused the shard. This page is
made from \`packages/contracts/src/errors.ts\`.

${table(
  ["code", "HTTP", "retry", "what it means", "what to do"],
  ERROR_CODES.map((code) => {
    const { status, retry, title, remedy } = ERRORS[code];
    return [`\`${code}\``, String(status), retry, title, remedy];
  }),
)}
`;
}

type Field = {
  type?: unknown;
  /** A shape that several fields have. */
  title?: string;
  properties?: Record<string, Field>;
  required?: string[];
  items?: Field;
  enum?: unknown[];
  const?: unknown;
  anyOf?: Field[];
  description?: string;
};

function fieldType(field: Field): string {
  if (field.anyOf) return field.anyOf.map(fieldType).join(" or ");
  if (field.const !== undefined) return `\`${JSON.stringify(field.const)}\``;
  if (field.enum && field.enum.length > 16) return "text";
  if (field.enum) return field.enum.map((one) => `\`${String(one)}\``).join(", ");
  if (field.title) return `[${field.title}](#${field.title.replaceAll(" ", "-")})`;
  if (field.items) return `list of ${fieldType(field.items)}`;
  return typeof field.type === "string" ? field.type : "any";
}

function fieldsTable({ properties = {}, required }: Field): string {
  const rows = Object.entries(properties).map(([name, field]) => [
    `\`${name}\`${required?.includes(name) ? "" : " (optional)"}`,
    fieldType(field),
    field.description ?? field.anyOf?.[0]?.description ?? "",
  ]);
  return table(["field", "type", ""], rows);
}

/** Shapes that events refer to, in the order in which they are met. */
function sharedShapes(): Field[] {
  const met = new Map<string, Field>();
  const look = (field: Field): void => {
    if (field.title && !met.has(field.title)) met.set(field.title, field);
    for (const inner of Object.values(field.properties ?? {})) look(inner);
    for (const inner of field.anyOf ?? []) look(inner);
    if (field.items) look(field.items);
  };
  for (const { data } of EVENTS) look(data);
  return [...met.values()];
}

export function eventsDocument(): string {
  const sections = EVENTS.map((definition) => {
    return `## ${definition.type} (v${definition.version})\n\n${definition.description}\n\n${fieldsTable(definition.data)}\n`;
  });
  const shapes = sharedShapes().map(
    (shape) => `### ${shape.title ?? ""}\n\n${fieldsTable(shape)}\n`,
  );
  return `# Events

Facts, as CloudEvents 1.0 JSON, on subject \`<family>.<event>.<companyId>.<numberId>\` (\`_\` where there is no
number) of the JetStream stream \`EVENTS\` (48 hours). The same events come over SSE
(\`GET /api/whatsapp/sessions/:companyId/events\`). Each arrives at least once: drop an \`id\` you have seen.
Codes and QR texts are in no event; a subscriber with the permission takes them from the core NATS subject
\`secret.pairing.<companyId>.<numberId>\`, which no stream keeps.
The machine-readable form is [asyncapi.yaml](../asyncapi.yaml). This page is made from
\`packages/contracts/src/events\`.

Message events carry a \`seq\` in the envelope, which grows by one with each event of a chat: delivery may be out of
order, \`seq\` tells the order.

## Over SSE

The event's name is its type and \`id\` its id; \`data\` is the CloudEvent and \`loggedAt\`, when it was written. What
stands between the events is of the stream itself and has no id:

| name | when | data |
| --- | --- | --- |
| \`snapshot\` | first of all, and after what was missed was repeated | the status answer, with \`serverTime\`. From the first one on everything new is told |
| \`lost\` | the log does not hold the event that Last-Event-ID names | \`lastEventId\` |
| \`lag\` | events may be late, or are not any more | \`lagging\`, \`serverTime\` |
| \`ended\` | the stream will not go on: do not come again with this token or number | \`reason\`: \`expired\`, \`revoked\`, \`number_removed\`, \`company_removed\` |

To miss nothing, come again with \`?since=\` 15 s before the last \`loggedAt\` and drop by \`id\` what you have had: a
commit may appear some seconds after a younger one. A comment every 15 s keeps the connection alive.

${sections.join("\n")}
## Shapes

${shapes.join("\n")}`;
}

/** The table of reasons in docs/state-machines.md. */
export function reasonsTable(): string {
  return table(
    ["reason", "status", "what a person can do", "meaning"],
    SESSION_REASON_CODES.map((reason) => {
      const { status, nextAction, title } = SESSION_REASONS[reason];
      return [`\`${reason}\``, status, `\`${nextAction}\``, title];
    }),
  );
}
