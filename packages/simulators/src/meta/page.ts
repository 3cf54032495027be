/** What there is, on a page: numbers with their tokens, people, what was sent, what was delivered. */
import type { MetaSimulator } from "./simulator.ts";

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};
const escape = (text: string): string => text.replaceAll(/[&<>"]/g, (char) => ENTITIES[char] ?? "");

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[], tag: string): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join("")}</tr>`;
  return `<table>${row(head, "th")}${rows.map((cells) => row(cells, "td")).join("")}</table>`;
}

export function pageOf({ world, sending, deliveries, url }: MetaSimulator): string {
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
<form method="post" action="/control/say">
<select name="from" aria-label="from">${[...world.people.values()].map(({ phone, name }) => `<option value="${escape(phone)}">${escape(name)}</option>`).join("")}</select>
writes to
<select name="phoneNumberId" aria-label="to">${numbers.map(({ id, phone }) => `<option value="${escape(id)}">+${escape(phone)}</option>`).join("")}</select>
<input name="text" required maxlength="4096" aria-label="text"> <button>Send</button></form>
<h2>Sent to people</h2>
${table(
  ["at", "number", "to", "type", "id"],
  sending.sent
    .slice(-50)
    .toReversed()
    .map((one) => [one.at.toISOString(), one.phoneNumberId, one.to, one.type, one.id]),
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
