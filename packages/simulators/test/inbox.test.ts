import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { startInboxSimulator, type InboxSimulator, segmentsOf } from "@manyline/simulators/inbox";
import { createTransport } from "nodemailer";

let inbox: InboxSimulator;
before(async () => {
  inbox = await startInboxSimulator();
});
after(() => inbox.close());
beforeEach(async () => {
  await fetch(`${inbox.url}/control/messages`, { method: "DELETE" });
  inbox.faults.clear();
});

const HTML = `<p style="x">Код ${"длинная строка ".repeat(20)}</p>\n.\n..\n<script>alert(1)</script>`;
const TEXT = "Код ABCD-EFGH\n.\n.. точки\n=3D знак\n";

async function send(
  message: { to?: string; subject?: string } = {},
  options: { url?: string; timeoutMs?: number } = {},
): Promise<void> {
  const { hostname, port, username, password } = new URL(options.url ?? inbox.smtpUrl);
  const transport = createTransport({
    host: hostname,
    port: Number(port),
    secure: false,
    ignoreTLS: true,
    socketTimeout: options.timeoutMs ?? 5_000,
    ...(username === "" ? {} : { auth: { user: username, pass: password } }),
  });
  try {
    await transport.sendMail({
      from: "Manyline <no-reply@manyline.example>",
      to: "owner@salon.example",
      subject:
        "Номер «Ромашка» — a long subject that has to be folded over several lines of a header",
      text: TEXT,
      html: HTML,
      ...message,
    });
  } finally {
    transport.close();
  }
}

function postSms(form: Record<string, string>, token = inbox.account.token): Promise<Response> {
  const { sid } = inbox.account;
  return fetch(`${inbox.url}/2010-04-01/Accounts/${sid}/Messages.json`, {
    method: "POST",
    headers: { authorization: `Basic ${Buffer.from(`${sid}:${token}`).toString("base64")}` },
    body: new URLSearchParams(form),
  });
}
const SMS = { To: "+79001234567", From: "+15550100001", Body: "ABCD-EFGH: код" };

describe("mails", () => {
  it("arrive as they were written: addresses, folded subject, text, HTML, lines that are dots", async () => {
    await send({ to: "owner@salon.example, desk@salon.example" });
    const [mail] = inbox.mails;
    assert.deepEqual(mail?.to, ["owner@salon.example", "desk@salon.example"]);
    assert.equal(mail?.from, "no-reply@manyline.example");
    assert.equal(
      mail?.subject,
      "Номер «Ромашка» — a long subject that has to be folded over several lines of a header",
    );
    assert.equal(mail?.text.replaceAll("\r\n", "\n").trimEnd(), TEXT.trimEnd());
    assert.equal(mail?.html.replaceAll("\r\n", "\n").trimEnd(), HTML);
  });

  it("are shown on the page and on its API; what is written in them is not run", async () => {
    await send({ subject: "<img src=x onerror=alert(1)>" });
    const answer = await fetch(inbox.url);
    const page = await answer.text();
    assert.ok(page.includes("&lt;img src=x"));
    assert.doesNotMatch(page, /<img|<script/);
    assert.match(answer.headers.get("content-security-policy") ?? "", /default-src 'none'/);
    const list = (await (await fetch(`${inbox.url}/control/messages`)).json()) as {
      mails: { subject: string }[];
    };
    assert.deepEqual(
      list.mails.map(({ subject }) => subject),
      ["<img src=x onerror=alert(1)>"],
    );
  });

  it("to nobody@ are refused for good", async () => {
    await assert.rejects(send({ to: "nobody@salon.example" }), /550/);
    assert.equal(inbox.mails.length, 0);
  });

  it("meet the faults that were asked for, as often as asked", async () => {
    inbox.faults.add({ channel: "smtp", effect: "refuse", status: 451, count: 2 });
    await assert.rejects(send(), /451/);
    await assert.rejects(send(), /451/);
    await send();
    inbox.faults.add({ channel: "smtp", effect: "take_and_drop" });
    await assert.rejects(send());
    assert.equal(inbox.mails.length, 2, "kept, though the sender was not told");
    inbox.faults.add({ channel: "smtp", effect: "drop" });
    await assert.rejects(send());
    inbox.faults.add({ channel: "smtp", effect: "hang" });
    await assert.rejects(send({}, { timeoutMs: 200 }), /[Tt]imeout/);
    assert.equal(inbox.mails.length, 2);
  });

  it("need the login, where one is set", async () => {
    await using closed = await startInboxSimulator({
      smtpLogin: { user: "manyline", password: "p4ss" },
    });
    const address = new URL(closed.smtpUrl).host;
    await assert.rejects(send({}, { url: closed.smtpUrl }), /530/);
    await assert.rejects(send({}, { url: `smtp://manyline:wrong@${address}` }), /535/);
    await send({}, { url: `smtp://manyline:p4ss@${address}` });
    assert.equal(closed.mails.length, 1);
  });
});

describe("SMS", () => {
  it("are taken as Twilio takes them", async () => {
    const answer = await postSms(SMS);
    assert.equal(answer.status, 201);
    const body = (await answer.json()) as Record<string, unknown>;
    assert.match(String(body["sid"]), /^SM[0-9a-f]{32}$/);
    assert.equal(body["status"], "queued");
    assert.deepEqual(
      inbox.texts.map(({ to, body: text }) => [to, text]),
      [[SMS.To, SMS.Body]],
    );
    assert.ok((await (await fetch(inbox.url)).text()).includes("ABCD-EFGH: код"));
  });

  it("are refused with Twilio's codes", async () => {
    const codeOf = async (answer: Promise<Response>): Promise<unknown[]> => {
      const { status, headers, body } = await answer.then(async (one) => ({
        status: one.status,
        headers: one.headers,
        body: (await one.json()) as Record<string, unknown>,
      }));
      return [status, body["code"], headers.get("retry-after")];
    };
    assert.deepEqual(await codeOf(postSms({ ...SMS, To: "12" })), [400, 21211, null]);
    assert.deepEqual(await codeOf(postSms({ ...SMS, Body: "" })), [400, 21602, null]);
    assert.deepEqual(await codeOf(postSms(SMS, "wrong")), [401, 20003, null]);
    inbox.faults.add({ channel: "sms", effect: "refuse", status: 429 });
    inbox.faults.add({ channel: "sms", effect: "refuse", status: 503 });
    assert.deepEqual(await codeOf(postSms(SMS)), [429, 20429, "1"]);
    assert.deepEqual(await codeOf(postSms(SMS)), [503, 20500, null]);
    assert.equal(inbox.texts.length, 0);
    inbox.faults.add({ channel: "sms", effect: "take_and_drop" });
    await assert.rejects(postSms(SMS));
    assert.equal(inbox.texts.length, 1);
  });

  it("are counted in parts as operators do", () => {
    assert.equal(segmentsOf("a".repeat(160)), 1);
    assert.equal(segmentsOf("a".repeat(161)), 2);
    assert.equal(segmentsOf("я".repeat(70)), 1);
    assert.equal(segmentsOf("я".repeat(71)), 2);
  });
});
