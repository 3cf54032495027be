/** What there is, on a page: numbers with their tokens, people, what was sent, what was delivered. */
import type { FlowRun } from "./flow-run.ts";
import type { Flows } from "./flows.ts";
import type { SentMessage } from "./sending.ts";
import type { MetaSimulator } from "./simulator.ts";

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};
const escape = (text: string): string => text.replaceAll(/[&<>"]/g, (char) => ENTITIES[char] ?? "");

/** A text, or a form that is HTML already. */
type Cell = string | { html: string };

function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const inner = (cell: Cell): string => (typeof cell === "string" ? escape(cell) : cell.html);
  const row = (cells: readonly Cell[], tag: string): string =>
    `<tr>${cells.map((cell) => `<${tag}>${inner(cell)}</${tag}>`).join("")}</tr>`;
  return `<table>${row(head, "th")}${rows.map((cells) => row(cells, "td")).join("")}</table>`;
}

/** What the person it was sent to may press. */
function buttonFor(flows: Flows, message: SentMessage): Cell {
  if (!flows.buttonOf(message)) return "";
  if (flows.isDisabled(message.id)) return "disabled";
  return {
    html: `<form method="post" action="/control/flows/open"><input type="hidden" name="messageId" value="${escape(message.id)}"><button>Press the button</button></form>`,
  };
}

/** What is filled in is JSON: the screens themselves are nowhere but at Meta. */
function screenFor({ id, state, data, message, error, result }: FlowRun): Cell {
  if (state !== "open") return message ?? error ?? JSON.stringify(result);
  return {
    html: `<code>${escape(JSON.stringify(data))}</code>
<form method="post" action="/control/flows/submit"><input type="hidden" name="run" value="${escape(id)}">
<input name="data" value="{}" aria-label="what is filled in, as JSON"> <button>Submit</button>
<button formaction="/control/flows/back">Back</button> <button formaction="/control/flows/finish">Finish without asking</button></form>`,
  };
}

export function pageOf({ world, sending, deliveries, flows, url }: MetaSimulator): string {
  const tokens = [...world.tokens.values()];
  const tokensOf = (wabaId: string): string =>
    tokens
      .filter(({ wabas }) => wabas.includes(wabaId))
      .map(({ token, isRevoked }) => (isRevoked ? `${token} (revoked)` : token))
      .join(", ");
  const numbers = [...world.numbers.values()];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Simulated Meta</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; } th, td { border-bottom: 1px solid #ccc; padding: .3rem; text-align: left; overflow-wrap: anywhere; }
form { margin: 1rem 0; } input, select, button { font: inherit; padding: .2rem .4rem; }
</style></head><body>
<h1>Simulated Meta</h1>
<p>Graph API: <code>${escape(url)}/v26.0</code></p>
<h2>Numbers</h2>
${table(
  ["phone", "phone_number_id", "account", "quality", "token"],
  numbers.map(({ phone, id, wabaId, quality }) => [
    `+${phone}`,
    id,
    wabaId,
    quality,
    tokensOf(wabaId),
  ]),
)}
<h2>People</h2>
${table(
  ["phone", "name", "username", "hides the phone", "on WhatsApp"],
  [...world.people.values()].map((one) => [
    `+${one.phone}`,
    one.name,
    one.username ?? "",
    one.isPhoneHidden ? "yes" : "no",
    one.isOnWhatsapp ? "yes" : "no",
  ]),
)}
<form id="say" method="post" action="/control/say">
<select name="from" aria-label="from">${[...world.people.values()].map(({ phone, name }) => `<option value="${escape(phone)}">${escape(name)}</option>`).join("")}</select>
writes to
<select name="phoneNumberId" aria-label="to">${numbers.map(({ id, phone }) => `<option value="${escape(id)}">+${escape(phone)}</option>`).join("")}</select>
<input name="text" required maxlength="4096" aria-label="text"> <button>Send</button></form>
<h2>Sent to people</h2>
${table(
  ["at", "number", "to", "type", "id", "flow"],
  sending.sent
    .slice(-50)
    .toReversed()
    .map((one) => [
      one.at.toISOString(),
      one.phoneNumberId,
      one.to,
      one.type,
      one.id,
      buttonFor(flows, one),
    ]),
)}
<h2 id="flows">Flows that people go through</h2>
${table(
  ["message", "state", "screen", "requests", "shown"],
  [...flows.runs.values()]
    .slice(-50)
    .toReversed()
    .map((run) => [
      run.messageId ?? "",
      run.state,
      run.screen ?? "",
      run.exchanges.map(({ action, status, ms }) => `${action} ${status} (${ms} ms)`).join(", "),
      screenFor(run),
    ]),
)}
<h2>Webhooks</h2>
<p>${deliveries.taken} taken, ${deliveries.waiting} waiting</p>
${table(
  ["at", "status", "changes", "bytes"],
  deliveries.attempts
    .slice(-50)
    .toReversed()
    .map((one) => [
      one.at.toISOString(),
      String(one.status),
      String(one.changes),
      String(one.bytes),
    ]),
)}
</body></html>
`;
}
