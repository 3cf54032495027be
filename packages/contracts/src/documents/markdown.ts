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
  enum?: unknown[];
  const?: unknown;
  anyOf?: Field[];
  description?: string;
};

function fieldType(field: Field): string {
  if (field.anyOf) return field.anyOf.map(fieldType).join(" or ");
  if (field.const !== undefined) return `\`${JSON.stringify(field.const)}\``;
  if (field.enum && field.enum.length > 12) return "text";
  if (field.enum) return field.enum.map((one) => `\`${String(one)}\``).join(", ");
  return typeof field.type === "string" ? field.type : "any";
}

export function eventsDocument(): string {
  const sections = EVENTS.map((definition) => {
    const { properties, required } = definition.data as unknown as {
      properties: Record<string, Field>;
      required?: string[];
    };
    const rows = Object.entries(properties).map(([name, field]) => [
      `\`${name}\`${required?.includes(name) ? "" : " (optional)"}`,
      fieldType(field),
      field.description ?? "",
    ]);
    return `## ${definition.type} (v${definition.version})\n\n${definition.description}\n\n${table(["field", "type", ""], rows)}\n`;
  });
  return `# Events

Facts, as CloudEvents 1.0 JSON, on subject \`<family>.<event>.<companyId>.<numberId>\` (\`_\` where there is no
number) of the JetStream stream \`EVENTS\` (48 hours). The same events come over SSE
(\`GET /api/whatsapp/sessions/:companyId/events\`). Each arrives at least once: drop an \`id\` you have seen.
Codes and QR texts are in no event; a subscriber with the permission takes them from the core NATS subject
\`secret.pairing.<companyId>.<numberId>\`, which no stream keeps.
The machine-readable form is [asyncapi.yaml](../asyncapi.yaml). This page is made from
\`packages/contracts/src/events\`.

${sections.join("\n")}`;
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
