/** Numbers of both WPP servers through everything that runs: gateway, worker and webhook-ingest, over HTTP alone. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { until } from "@manyline/testkit";
import { type Answer, Company, fields } from "./company.ts";
import { killWorker } from "./room.ts";
import { ADMIN_TOKEN, Whole } from "./whole.ts";
import type { WppRoom } from "./wpp-room.ts";

const ANN = "79007654321";
const PATIENCE = { deadlineMs: 20_000 };

let whole: Whole;
let world: WppRoom;
let url: string;
before(async () => {
  whole = await Whole.open();
  ({ world, url } = whole);
});
after(() => whole[Symbol.asyncDispose]());

/** A company with an owner, and with a WPP number, since that is how it is known. */
async function makeCompany(): Promise<Company> {
  const company = await Company.make(whole);
  await company.owned(() => company.wpp({}));
  return company;
}

const send = (company: Company, number: unknown, body: object): Promise<string> =>
  company.send(number, { to: `+${ANN}`, ...body });

/** What was told of a number, in the order of the log. */
async function eventsOf(number: unknown): Promise<string[]> {
  const rows = await world.room.superuser<{ type: string }>(
    `select e.type from whatsapp_events e join numbers n on n.number_no = e.number_no
      where n.number_id = '${String(number)}' order by e.event_no`,
  );
  return rows.map(({ type }) => type);
}

const sessionOf = async (number: unknown): Promise<string> => {
  const [row] = await world.room.superuser<{ session: string }>(
    `select settings ->> 'wppAccountNumber' as session from numbers where number_id = '${String(number)}'`,
  );
  return row?.session ?? "";
};
const clientsOf = ({ id }: Company): string[] =>
  [...world.wpp.world.clients.keys()].filter((one) => one.split("__")[0] === id);

for (const server of ["wpp_platform", "wppconnect"] as const) {
  describe(`at ${server}`, () => {
    const extra = server === "wppconnect" ? { server } : {};
    /** Adds a number, shows its QR as a person would see it, and scans it. */
    async function linked(company: Company): Promise<{ number: unknown; session: string }> {
      const startedAt = performance.now();
      const { status, body } = await company.wpp({ add_new: true, ...extra });
      assert.ok(performance.now() - startedAt < 8_000, "held the request");
      assert.equal(status, 200, JSON.stringify(body));
      const number = body["numberId"];
      const session = String(body["session"]);
      const shown = await company.qr(number);
      assert.match(String(shown["qr"]), /^(2@|data:image\/png;base64,)/);
      await world.scan(session);
      await company.reaches(number, "connected");
      return { number, session };
    }

    it("three numbers have a session each, show their QR, send, and are told what becomes of it", async () => {
      const company = await makeCompany();
      const lines = [await linked(company), await linked(company), await linked(company)];
      assert.equal(new Set(lines.map(({ session }) => session)).size, 3);
      for (const { number } of lines) {
        const read = await send(company, number, { type: "text", text: "good day" });
        await company.becomes(read, "read");
        const told = await eventsOf(number);
        for (const type of [
          "session.connected",
          "message.sent",
          "message.delivered",
          "message.read",
        ]) {
          assert.equal(told.filter((one) => one === type).length, 1, `${type} in ${told.join()}`);
        }
        assert.ok(told.includes("pairing.qr_issued"), told.join());
      }
    });

    it("what people write, react and send as files arrives; a person's words are answered", async () => {
      const company = await makeCompany();
      const { number, session } = await linked(company);
      const bytes = randomBytes(300);
      const base64 = bytes.toString("base64");
      if (server === "wppconnect") {
        // Nobody is told of this one: it is asked for when the number connects again.
        world.connect.say(session, ANN, "missed", true);
        const asked = await company.session(`reconnect?number=${String(number)}`, "POST", {});
        assert.equal(asked.status, 202, JSON.stringify(asked.body));
        await until(
          async () => (await company.messages(number)).some(({ text }) => text === "missed"),
          PATIENCE,
        );
        world.connect.say(session, ANN, "hello");
        world.connect.say(session, ANN, {
          type: "image",
          mimetype: "image/png",
          caption: "look",
          body: base64,
        });
      } else {
        world.wpp.say(session, ANN, "hello");
        const media = { base64, mimetype: "image/png", filename: "file" };
        world.wpp.say(session, ANN, { type: "image", text: "[Image] look", media });
      }
      const image = await until(
        async () => (await company.messages(number)).find(({ type }) => type === "image"),
        PATIENCE,
      );
      assert.equal(image["text"], "look");
      const hello = (await company.messages(number)).find(({ text }) => text === "hello");
      assert.equal(hello?.["direction"], "in");
      const { id: mediaId } = fields(image["media"]);
      const file = await fetch(
        `${url}/api/whatsapp/sessions/${company.id}/media/${String(mediaId)}`,
        {
          headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
        },
      );
      assert.deepEqual(Buffer.from(await file.arrayBuffer()), bytes);
      if (server === "wppconnect") {
        // Of its calls without a login one ends it: whoever can send a webhook must not make us do so.
        const fileUrl = `${world.connect.url}/healthz`;
        world.connect.say(session, ANN, { type: "document", mimetype: "text/plain", fileUrl });
        const trap = await until(
          async () => (await company.messages(number)).find(({ type }) => type === "document"),
          PATIENCE,
        );
        const path = `media/${String(fields(trap["media"])["id"])}`;
        assert.ok((await company.session(path)).status >= 400);
        assert.ok(!world.connect.calls.some(({ name }) => name === "healthz"));
      }
      const reaction = await send(company, number, {
        type: "reaction",
        messageId: hello?.["id"] ?? hello?.["messageId"],
        emoji: "👍",
        to: undefined,
      });
      await company.becomes(reaction, "sent");
    });

    it("lost, it says so at once and comes back; deleted, another is primary", async () => {
      const company = await makeCompany();
      const { number, session } = await linked(company);
      if (server === "wppconnect") world.connect.removeDevice(session);
      else world.wpp.drop(session, "logout");
      const lost = await company.reaches(number, "disconnected");
      assert.equal(lost["reason"], "logged_out");
      const again = await company.wpp({}, `?number=${String(number)}`);
      assert.deepEqual([again.status, again.body["session"]], [200, session]);
      await world.scan(session);
      await company.reaches(number, "connected");
      const primary = (await company.numbers()).find(({ isPrimary }) => isPrimary === true);
      const path = `/api/whatsapp/companies/${company.id}/numbers/${String(primary?.["id"])}`;
      assert.equal((await company.call("DELETE", path)).status, 200);
      assert.deepEqual(
        (await company.numbers()).map(({ id, isPrimary }) => [id, isPrimary]),
        [[number, true]],
      );
    });
  });
}

describe("POST …/wpp", () => {
  it("at once makes one client; {} means it, add_new another, force_recreate new credentials in its row", async () => {
    const company = await Company.make(whole);
    let both: Answer[] = [];
    await until(async () => {
      both = await Promise.all([company.wpp({}), company.wpp({})]);
      return both.every(({ status }) => status === 200);
    }, PATIENCE);
    const [one, two] = both.map(({ body }) => body);
    assert.deepEqual([one?.["numberId"], one?.["session"]], [two?.["numberId"], two?.["session"]]);
    assert.deepEqual(clientsOf(company), [company.id]);
    const first = one?.["numberId"];
    await world.scan(String(one?.["session"]));
    await company.reaches(first, "connected");
    assert.equal((await company.wpp({})).body["status"], "connected");

    const added = await company.wpp({ add_new: true });
    assert.notEqual(added.body["numberId"], first);
    assert.match(clientsOf(company)[1] ?? "", new RegExp(`^${company.id}__wpp__[0-9a-f]{8}$`));
    const recreated = await company.wpp({ force_recreate: true });
    assert.equal(recreated.body["numberId"], first);
    assert.notEqual(recreated.body["session"], one?.["session"]);
    assert.equal(clientsOf(company).length, 3);
    await world.scan(String(recreated.body["session"]));
    await company.reaches(first, "connected");

    const taken = world.wpp.world.clients.get(company.id);
    const answer = { status: 200, body: { apiKey: taken?.apiKey, session: taken?.session } };
    world.wpp.faults.add({ call: "create", effect: { answer }, next: 1 });
    // That client is nobody's any more; the second number's is.
    const second = await sessionOf(added.body["numberId"]);
    const owned = [...world.wpp.world.clients.values()].find(({ session }) => session === second);
    Object.assign(answer.body, { apiKey: owned?.apiKey, session: second });
    const refused = await company.wpp({ add_new: true });
    assert.deepEqual([refused.status, refused.body["code"]], [409, "WPP_KEY_REUSED"]);
    assert.equal((await company.numbers()).length, 2);
  });

  it("a late key is waited for; a start behind a 504 is starting, and connects; the file is fetched by its link", async () => {
    const company = await makeCompany();
    world.wpp.options.activationMs = 1_500;
    const late = await company.wpp({ add_new: true });
    world.wpp.options.activationMs = 0;
    assert.equal(late.status, 200, JSON.stringify(late.body));
    const effect = { answer: { status: 504, body: "<html>504</html>" } };
    world.wpp.faults.add({ call: "start", effect, next: 1 });
    const cut = await company.wpp({ add_new: true });
    assert.deepEqual([cut.status, cut.body["status"]], [200, "starting"]);
    const number = cut.body["numberId"];
    await world.scan(String(cut.body["session"]));
    await company.reaches(number, "connected");

    const bytes = randomBytes(100);
    const pdf = Buffer.concat([Buffer.from("%PDF-1.4\n"), bytes]);
    const uploaded = await fetch(
      `${url}/api/whatsapp/sessions/${company.id}/media?fileName=a.pdf&number=${String(number)}`,
      {
        method: "POST",
        headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/pdf" },
        body: pdf,
      },
    );
    const { mediaId } = fields(await uploaded.json());
    const sent = await send(company, number, { type: "document", mediaId, fileName: "a.pdf" });
    await company.becomes(sent, "read");
    const task = [...world.wpp.world.tasks.values()].at(-1)?.body ?? {};
    assert.deepEqual([task["kind"], task["filename"]], ["file", "a.pdf"]);
    const fetched = await fetch(String(task["url"]));
    assert.deepEqual(Buffer.from(await fetched.arrayBuffer()), pdf);
    const forged = await fetch(`${String(task["url"]).slice(0, -3)}AAA`);
    assert.equal(forged.status, 404);

    const poll = { type: "poll", to: `+${ANN}`, poll: { name: "?", options: ["a", "b"] } };
    const refused = await company.session(`messages?number=${String(number)}`, "POST", poll);
    assert.deepEqual([refused.status, refused.body["code"]], [501, "PROVIDER_NOT_SUPPORTED"]);
  });
});

/** A company, and its first number. */
async function companyAndFirst(): Promise<{ company: Company; first: string }> {
  const company = await Company.make(whole);
  const { body } = await company.owned(() => company.wpp({}));
  return { company, first: String(body["numberId"]) };
}
const clients = ({ id }: Company) =>
  [...world.wpp.world.clients.values()].filter(
    ({ organizationId }) => organizationId.split("__")[0] === id,
  );
/** An answer that names what is wrong, where something is. */
const isKnown = ({ status }: Answer): boolean => status < 500 || [502, 503, 504].includes(status);
/** The sessions that the company's rows know. */
const sessionsOf = async (company: Company): Promise<unknown[]> =>
  (await company.numbers()).map(({ wpp }) => fields(wpp)["session"]);

describe("at once, and after accidents", () => {
  it("four that are added at once are four, with a client each, and one of all is primary", async () => {
    const { company } = await companyAndFirst();
    const added = await Promise.all(
      Array.from({ length: 4 }, () => company.owned(() => company.wpp({ add_new: true }))),
    );
    for (const { status, body } of added)
      assert.ok([200, 202].includes(status), JSON.stringify(body));
    await until(async () => !(await sessionsOf(company)).includes(null), PATIENCE);
    const known = (await sessionsOf(company)).map(String);
    assert.equal(new Set(known).size, 5);
    assert.deepEqual(
      known.toSorted(),
      clients(company)
        .map(({ session }) => session)
        .toSorted(),
    );
    assert.equal((await company.numbers()).filter(({ isPrimary }) => isPrimary === true).length, 1);
  });

  it("new credentials beside messages: each is sent once or says why not; a removal beside a start leaves no session", async () => {
    const { company, first } = await companyAndFirst();
    await world.scan(String((await sessionsOf(company))[0]));
    await company.reaches(first, "connected");
    const texts = Array.from({ length: 6 }, (_, place) => `word ${place} of ${company.id}`);
    const say = (text: string) =>
      company.session("messages", "POST", { type: "text", to: `+${ANN}`, text });
    const [sent, recreated] = await Promise.all([
      Promise.all(texts.map(say)),
      company.wpp({ force_recreate: true }),
    ]);
    assert.ok(isKnown(recreated), JSON.stringify(recreated));
    await until(
      async () => (await sessionsOf(company))[0] === clients(company)[1]?.session,
      PATIENCE,
    );
    await world.scan(String((await sessionsOf(company))[0]));
    for (const { status, body } of sent) {
      assert.equal(status, 202, JSON.stringify(body));
      await company.becomes(String(body["messageId"]), "sent", "delivered", "read", "unknown");
    }
    const told = [...world.wpp.world.tasks.values()].map(({ body }) => String(body["text"]));
    for (const text of texts) assert.ok(told.filter((one) => one === text).length <= 1, text);

    for (let turn = 0; turn < 2; turn += 1) {
      const added = await company.wpp({ add_new: true });
      const number = String(added.body["numberId"]);
      const answers = await Promise.all([
        company.wpp({}, `?number=${number}`),
        company.number(number, "DELETE"),
        company.wpp({ force_recreate: true }, `?number=${number}`),
      ]);
      assert.ok(answers.every(isKnown), JSON.stringify(answers));
      assert.ok(!(await company.numbers()).some(({ id }) => id === number));
    }
    const known = new Set(await sessionsOf(company));
    await until(
      () =>
        clients(company).every(({ session, state }) => known.has(session) || state === "offline"),
      { ...PATIENCE, label: "no session runs that no row knows" },
    );
  });

  it("whatever the platform answers, nobody gets a 500, and the number comes up afterwards", async () => {
    const { company } = await companyAndFirst();
    const bodies = ["<html>502 Bad Gateway</html>", "", "[]", '{"status":"error"}', "{}", '"x"'];
    for (const call of ["create", "token", "start", "status", "webhook"]) {
      for (const [place, body] of bodies.entries()) {
        const status = [502, 200, 200, 200, 500, 418][place] ?? 200;
        world.wpp.faults.add({ call, effect: { answer: { status, body } }, next: 3 });
      }
      world.wpp.faults.add({ call, effect: { cut: "after" }, next: 1 });
      const answer = await company.wpp({ add_new: true });
      assert.ok(isKnown(answer), `${call}: ${JSON.stringify(answer)}`);
      world.wpp.faults.clear();
    }
    for (const { id } of await company.numbers()) {
      const again = await company.wpp({}, `?number=${String(id)}`);
      assert.ok(isKnown(again), JSON.stringify(again));
    }
    await until(async () => !(await sessionsOf(company)).includes(null), PATIENCE);
    const known = (await sessionsOf(company)).map(String);
    assert.deepEqual(
      known.toSorted(),
      clients(company)
        .map(({ session }) => session)
        .toSorted(),
    );
  });

  it("killed in the middle of a create: afterwards there is no client that no row knows", async () => {
    const { company, first } = await companyAndFirst();
    world.wpp.faults.add({ call: "create", effect: { delayMs: 1_500 } });
    const asked = [
      company.wpp({ add_new: true }),
      company.wpp({ force_recreate: true }, `?number=${first}`),
    ];
    // Both are being asked for at the platform.
    const asking = `select 1 from numbers n join companies c using (company_no)
      where c.company_id = '${company.id}' and n.settings ->> 'wppNextSubOrgId' is not null`;
    await until(async () => (await world.room.superuser(asking)).length === 2, PATIENCE);
    await killWorker(world.room.worker);
    // As if the time of its leases were over.
    await world.room.superuser("update shard_leases set owner = null, expires_at = null");
    world.wpp.faults.clear();
    await world.room.startWorker();
    const [added, recreated] = await Promise.all(asked);
    assert.ok(
      added && recreated && isKnown(added) && isKnown(recreated),
      JSON.stringify([added, recreated]),
    );
    const open = `select 1 from commands m join companies c using (company_no)
      where c.company_id = '${company.id}' and m.result is null and m.error is null`;
    await until(async () => (await world.room.superuser(open)).length === 0, PATIENCE);
    const replaced = [clients(company)[0]?.session, ...(await sessionsOf(company))];
    await company.owned(() => company.wpp({ force_recreate: true }, `?number=${first}`));
    await company.owned(() => company.wpp({}, `?number=${String(added.body["numberId"])}`));
    await until(async () => !(await sessionsOf(company)).includes(null), PATIENCE);
    // Each client is a row's, or was one's before it was replaced.
    const known = new Set([...replaced, ...(await sessionsOf(company))]);
    const others = clients(company).filter(({ session }) => !known.has(session));
    assert.deepEqual(others, []);
  });

  it("no key, token or secret is in the worker's log", async () => {
    const log = await readFile(world.room.log, "utf8");
    const { secret } = world.wpp.options;
    for (const one of [secret, world.connect.options.secret, "eyJhbGci"])
      assert.ok(!log.includes(one));
    for (const { apiKey } of world.wpp.world.clients.values()) assert.ok(!log.includes(apiKey));
  });
});
