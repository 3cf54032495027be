/** Both WPP servers on a page, for people who try Manyline: scan, write, cut off. */
import { sentOf, sessionsOf, type WppServers } from "./view.ts";

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};
const escape = (text: string): string => text.replaceAll(/[&<>"]/g, (char) => ENTITIES[char] ?? "");

const row = (cells: readonly string[]): string =>
  `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;

/** Fields and buttons that are of use now; each button posts to `/control/sessions/<session>/<verb>`. */
function actionsOf(session: string, state: string): string {
  const button = (verb: string, label: string): string =>
    `<button name="verb" value="${verb}">${label}</button>`;
  const field = (name: string, hint: string): string =>
    `<input name="${name}" placeholder="${hint}" aria-label="${hint}">`;
  const parts =
    state === "connected"
      ? [
          field("phone", "phone of a person"),
          field("text", "what they write"),
          button("say", "Write"),
          button("offline", "Cut off"),
          button("logout", "Remove device"),
        ]
      : ["qr", "code"].includes(state)
        ? [field("phone", "the number's phone"), button("scan", "Scan")]
        : [];
  return `<form data-session="${escape(session)}">${parts.join(" ")}</form>`;
}

export function pageOf(servers: WppServers): string {
  const { platform, connect } = servers;
  const sessions = sessionsOf(servers).map(({ server, session, organizationId, state, phone }) =>
    row([
      server,
      escape(session),
      escape(organizationId ?? ""),
      escape(state),
      phone === null ? "" : `+${escape(phone)}`,
      actionsOf(session, state),
    ]),
  );
  const sent = sentOf(servers).map(({ session, to, text, isDeleted }) =>
    row([escape(session), `+${escape(to)}`, isDeleted ? `<s>${escape(text)}</s>` : escape(text)]),
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Simulated WPP servers</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; } th, td { border-bottom: 1px solid #ccc; padding: .3rem; text-align: left; overflow-wrap: anywhere; }
input, button { font: inherit; padding: .2rem .4rem; }
</style></head><body>
<h1>Simulated WPP servers</h1>
<p>WPP Platform: <code>${escape(platform.url)}</code> · WPPConnect Server: <code>${escape(connect.url)}</code></p>
<h2>Sessions</h2>
<table><tr><th>server</th><th>session</th><th>organisation</th><th>state</th><th>phone</th><th></th></tr>${sessions.join("")}</table>
${sessions.length === 0 ? "<p>None yet: <code>POST /api/whatsapp/sessions/962302/wpp</code> makes one.</p>" : ""}
<h2>Sent to people</h2>
<table><tr><th>session</th><th>to</th><th>what</th></tr>${sent.join("")}</table>
<p role="status" id="told"></p>
<script>
addEventListener("submit", async (event) => {
  event.preventDefault();
  const { phone, text } = Object.fromEntries(new FormData(event.target));
  const path = "/control/sessions/" + encodeURIComponent(event.target.dataset.session) + "/" + event.submitter.value;
  const answer = await fetch(path, { method: "POST", body: JSON.stringify({ phone, text }) });
  if (answer.ok) location.reload();
  else document.getElementById("told").textContent = (await answer.json()).error;
});
</script></body></html>
`;
}
