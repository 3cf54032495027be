/** Mails over TLS and with a login, to a real SMTP server. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startInboxSimulator } from "@manyline/simulators/inbox";
import { selfSigned } from "@manyline/testkit";
import { createMailer } from "../src/notices/mail.ts";

const MAIL = {
  id: "one",
  to: "desk@salon.example",
  subject: "Hello",
  text: "Hello",
  html: "<p>Hello</p>",
  isRepeat: false,
};
const here = selfSigned([127, 0, 0, 1]);
const other = selfSigned([127, 0, 0, 1]);
const elsewhere = selfSigned([10, 0, 0, 1]);

for (const isImplicit of [false, true]) {
  const kind = isImplicit ? "TLS from the first byte" : "STARTTLS";
  const open = (tls = here) =>
    startInboxSimulator({
      smtpLogin: { user: "manyline", password: "p4ss" },
      smtpTls: { ...tls, isImplicit },
    });
  const sendTo = ({ smtpUrl }: { smtpUrl: string }, ca?: string, login = "manyline:p4ss@") =>
    createMailer({
      url: smtpUrl.replace("://", `://${login}`),
      from: "notices@manyline.example",
      ca,
    }).send(MAIL, 5_000);

  test(`${kind}: a mail with the right login, and a wrong one told`, async () => {
    await using inbox = await open();
    assert.equal((await sendTo(inbox, here.cert)).outcome, "sent");
    assert.deepEqual(
      inbox.mails.map(({ to, isSecure }) => [to, isSecure]),
      [[[MAIL.to], true]],
    );
    for (const login of ["manyline:wrong@", ""]) {
      assert.equal((await sendTo(inbox, here.cert, login)).outcome, "unauthorised");
    }
    assert.equal(inbox.mails.length, 1);
  });

  test(`${kind}: a server that is not the one we trust gets neither a login nor a mail`, async () => {
    await using inbox = await open();
    await using named = await open(elsewhere);
    const refused = { outcome: "untrusted", code: "certificate" };
    assert.deepEqual(await sendTo(inbox), refused, "signed by itself");
    assert.deepEqual(await sendTo(inbox, other.cert), refused, "signed by another");
    assert.deepEqual(await sendTo(named, elsewhere.cert), refused, "of another address");
    assert.equal(inbox.mails.length + named.mails.length, 0);
  });
}

test("whoever insists on TLS sends nothing without it", async () => {
  await using inbox = await startInboxSimulator();
  const mailer = createMailer({
    url: `${inbox.smtpUrl}?requireTLS=true`,
    from: "m@manyline.example",
  });
  assert.notEqual((await mailer.send(MAIL, 5_000)).outcome, "sent");
  assert.equal(inbox.mails.length, 0);
});
