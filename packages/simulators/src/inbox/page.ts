/** What arrived, newest first. HTML of mails is shown in a frame that runs nothing and fetches nothing. */
import type { ReceivedMail } from "./smtp.ts";
import { type ReceivedSms, segmentsOf } from "./twilio.ts";

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};
const escape = (text: string): string => text.replaceAll(/[&<>"]/g, (char) => ENTITIES[char] ?? "");

export function pageOf(mails: readonly ReceivedMail[], texts: readonly ReceivedSms[]): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>What arrived</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 52rem; padding: 0 1rem; }
article { border: 1px solid #ccc; border-radius: 8px; margin: 1rem 0; padding: .6rem 1rem; overflow-wrap: anywhere; }
h3 { margin: 0; font-size: 1rem; } small { color: #555; } pre { white-space: pre-wrap; font: inherit; }
iframe { border: 0; width: 100%; height: 28rem; }
</style></head><body>
<h1>What arrived</h1>
<p>Mails and SMS end here, and nobody gets them. <a href="/">Look again</a></p>
<h2>SMS (${texts.length})</h2>
${texts.toReversed().map(smsOf).join("\n")}
<h2>Mails (${mails.length})</h2>
${mails.toReversed().map(mailOf).join("\n")}
</body></html>
`;
}

function smsOf({ at, from, to, body }: ReceivedSms): string {
  const parts = segmentsOf(body);
  return `<article><h3>${escape(to)}</h3><small>${at.toISOString()} from ${escape(from)}, ${parts} ${parts === 1 ? "part" : "parts"}</small><pre>${escape(body)}</pre></article>`;
}

function mailOf({ at, from, to, subject, text, html }: ReceivedMail): string {
  const shown =
    html === ""
      ? ""
      : `<details><summary>HTML</summary><iframe sandbox="" title="${escape(subject)}" srcdoc="${escape(html)}"></iframe></details>`;
  return `<article><h3>${escape(subject)}</h3><small>${at.toISOString()} from ${escape(from)} to ${escape(to.join(", "))}</small><pre>${escape(text)}</pre>${shown}</article>`;
}
