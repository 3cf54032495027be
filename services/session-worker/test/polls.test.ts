/** Polls and the votes on them: whoever made the poll, whoever votes, in whichever form they are addressed. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openDatabase } from "@manyline/db";
import { createGroup, type Content, type PhoneMessages } from "@manyline/simulators";
import { until } from "@manyline/testkit";
import { contact, field, linked, toldOf, toldOfMessages, type Linked } from "./conversations.ts";
import { openRoom, type Room } from "./room.ts";
import { enqueue, untilSend, type Queued } from "./sending.ts";

let room: Room;
before(async () => {
  room = await openRoom({ env: { SENDS_PER_SECOND: "50", SEND_BURST: "50" } });
});
after(async () => {
  assert.deepEqual(room.simulator.server.unhandled, []);
  await room.close();
});

const OPTIONS = ["yes", "no", "perhaps"];
const POLL = { kind: "poll", name: "Coming?", options: OPTIONS, selectable: 0 } as const;

/** Of the number's own phone. */
const own = ({ phone }: Linked): PhoneMessages => room.simulator.server.phone(phone).messages;

const voteOn = (target: string, ...options: string[]): Content => ({
  kind: "vote",
  target,
  options,
});

/** Our poll in this person's chat, as it is on their phone. */
async function ask(one: Linked, to: Parameters<typeof enqueue>[2], by: PhoneMessages) {
  const { name, options, selectable } = POLL;
  const content = { poll: { name, options: [...options], selectable } };
  const queued = await enqueue(room, one, to, { type: "poll", text: null, content });
  await until(() => by.received.some(({ id }) => id === queued.providerMessageId), {
    label: "the poll",
  });
  return queued;
}

/** What is told of a vote: the poll that it is about, and what was chosen. */
async function told(one: Linked, { id }: { id: string }, type = "message.received") {
  const event = await toldOf(room, one, type, id);
  assert.equal(event.data["type"], "poll_vote");
  return { event, ...(field(event, "pollVote") as { options: string[] | null }) };
}

async function secretsKept({ number }: Linked): Promise<number> {
  await using db = openDatabase({ url: room.database.superuserUrl, applicationName: "test" });
  const rows = await db
    .selectFrom("authKeys")
    .select("key")
    .where("numberNo", "=", number.numberNo)
    .where("kind", "=", "poll-secret")
    .execute();
  return rows.length;
}

for (const addressing of ["lid", "pn", "lid-no-pn"] as const) {
  describe(`addressed by ${addressing}`, () => {
    const open = async () => {
      const one = await linked(room);
      const ann = contact(room, "Ann");
      const { server } = room.simulator;
      for (const phone of [one.phone, ann.phone]) {
        server.phone(phone).account.overrides = { addressing };
      }
      return { one, ann };
    };

    it("our poll: a vote, one that replaces it, one that takes it back", async () => {
      const { one, ann } = await open();
      const hello = await ann.messages.sendText(one.phone, "hello");
      const heard = await toldOf(room, one, "message.received", hello.id);
      const chatId = String(field(heard, "chat")["id"]);
      const { providerMessageId: poll } = await ask(one, { chatId }, ann.messages);
      for (const chosen of [["yes"], ["no", "perhaps"], []]) {
        const vote = await ann.messages.send(one.phone, voteOn(poll, ...chosen));
        const { event, options } = await told(one, vote);
        assert.deepEqual(options, chosen);
        assert.equal(field(event, "pollVote")["providerMessageId"], poll);
        assert.equal(field(event, "chat")["id"], chatId);
        assert.equal(field(event, "from")["name"], "Ann");
      }
      const vote = await own(one).send(ann.phone, voteOn(poll, "perhaps"));
      assert.deepEqual((await told(one, vote, "message.echoed")).options, ["perhaps"]);
    });

    it("a person's poll: their own vote, and that of the number's phone", async () => {
      const { one, ann } = await open();
      const { id } = await ann.messages.send(one.phone, POLL);
      const { data } = await toldOf(room, one, "message.received", id);
      assert.deepEqual(data["poll"], { name: "Coming?", options: OPTIONS, selectable: 0 });
      const theirs = await ann.messages.send(one.phone, voteOn(id, "yes", "no"));
      assert.deepEqual((await told(one, theirs)).options, ["yes", "no"]);
      await until(() => own(one).received.some((each) => each.id === id), { label: "the poll" });
      const ours = await own(one).send(ann.phone, voteOn(id, "perhaps"));
      assert.deepEqual((await told(one, ours, "message.echoed")).options, ["perhaps"]);
    });

    it("a poll written on the number's own phone", async () => {
      const { one, ann } = await open();
      const { id } = await own(one).send(ann.phone, POLL);
      await toldOf(room, one, "message.echoed", id);
      await until(() => ann.messages.received.some((each) => each.id === id), {
        label: "the poll",
      });
      const vote = await ann.messages.send(one.phone, voteOn(id, "no"));
      assert.deepEqual((await told(one, vote)).options, ["no"]);
    });
  });
}

describe("a vote on a poll", () => {
  it("that nobody here has seen, or an option nobody offered, tells no options", async () => {
    const one = await linked(room);
    const ann = contact(room, "Ann");
    const { server } = room.simulator;
    // The poll is older than the link.
    const { devices } = server.account(one.phone);
    const hidden = [...devices.values()];
    devices.clear();
    const { id } = await ann.messages.send(one.phone, POLL);
    for (const each of hidden) devices.set(each.id, each);
    const blind = await ann.messages.send(one.phone, voteOn(id, "yes"));
    assert.equal((await told(one, blind)).options, null);

    const seen = await ann.messages.send(one.phone, POLL);
    await toldOf(room, one, "message.received", seen.id);
    const odd = await ann.messages.send(one.phone, voteOn(seen.id, "never"));
    assert.deepEqual((await told(one, odd)).options, []);
  });

  it("is read after a restart of the worker as well", async () => {
    const one = await linked(room);
    const ann = contact(room, "Ann");
    const { id } = await ann.messages.send(one.phone, POLL);
    await toldOf(room, one, "message.received", id);
    const { providerMessageId: mine } = await ask(one, { phone: ann.phone }, ann.messages);
    const { logins } = room.simulator.server.stats;
    room.worker.kill("SIGTERM");
    await until(() => room.worker.exitCode !== null || room.worker.signalCode !== null, {
      label: "its end",
      deadlineMs: 20_000,
    });
    await room.startWorker();
    await until(() => room.simulator.server.stats.logins > logins, {
      label: "a login",
      deadlineMs: 20_000,
    });
    for (const poll of [id, mine]) {
      const vote = await ann.messages.send(one.phone, voteOn(poll, "yes"));
      assert.deepEqual((await told(one, vote)).options, ["yes"]);
    }
  });
});

describe("in groups", () => {
  for (const addressing of ["lid", "pn"] as const) {
    it(`${addressing}: silent without a trace, then whoever asks and whoever votes`, async () => {
      const one = await linked(room);
      const { server } = room.simulator;
      const [ann, bo] = [contact(room, "Ann"), contact(room, "Bo")];
      const [annAccount, ...others] = [ann.phone, bo.phone, one.phone].map(
        (phone) => server.phone(phone).account,
      );
      assert.ok(annAccount);
      const group = createGroup(annAccount, "Orders", others, addressing);
      const silent = await ann.messages.send(group.jid, POLL);
      const ignored = await ann.messages.send(group.jid, voteOn(silent.id, "no"));
      const direct = await ann.messages.sendText(one.phone, "to you alone");
      await toldOf(room, one, "message.received", direct.id);
      assert.equal((await toldOfMessages(room, one)).length, 1);
      assert.equal(await secretsKept(one), 0);

      await room.changeCompany(one.number, { whatsappConfig: { groupMessages: true } });
      // The change reaches the owner with its next look.
      await until(
        async () => {
          const { id } = await ann.messages.sendText(group.jid, "somebody?");
          return (await toldOfMessages(room, one)).some(
            ({ data }) => data["providerMessageId"] === id,
          );
        },
        { label: "a group's message", intervalMs: 300 },
      );
      const asked: Queued = await ask(one, { groupId: group.jid }, ann.messages);
      await untilSend(room, one, asked, "message.sent");
      const theirs = await ann.messages.send(group.jid, POLL);
      await toldOf(room, one, "message.received", theirs.id);
      assert.equal(await secretsKept(one), 1);
      for (const poll of [asked.providerMessageId, theirs.id]) {
        for (const { messages } of [ann, bo]) {
          await until(
            () => [...messages.received, ...messages.sent].some(({ id }) => id === poll),
            { label: "the poll" },
          );
          const vote = await messages.send(group.jid, voteOn(poll, "yes", "perhaps"));
          assert.deepEqual((await told(one, vote)).options, ["yes", "perhaps"]);
        }
        await until(() => own(one).received.some(({ id }) => id === poll), { label: "the poll" });
        const vote = await own(one).send(group.jid, voteOn(poll, "no"));
        assert.deepEqual((await told(one, vote, "message.echoed")).options, ["no"]);
      }
      // Nobody was told of this poll, but its id is known from the vote alone.
      const late = await bo.messages.send(group.jid, voteOn(silent.id, "no"));
      assert.equal((await told(one, late)).options, null);
      const all = await toldOfMessages(room, one);
      assert.ok(all.every(({ data }) => data["providerMessageId"] !== ignored.id));
    });
  }
});

it("somebody else's poll of the same id does not spoil ours", async () => {
  const one = await linked(room);
  const [ann, mallory] = [contact(room, "Ann"), contact(room, "Mallory")];
  const hello = await ann.messages.sendText(one.phone, "hello");
  const heard = await toldOf(room, one, "message.received", hello.id);
  const chatId = String(field(heard, "chat")["id"]);
  const { providerMessageId: poll } = await ask(one, { chatId }, ann.messages);
  await mallory.messages.send(one.phone, { ...POLL, options: ["a", "b"] }, poll);
  await toldOf(room, one, "message.received", poll);
  const vote = await ann.messages.send(one.phone, voteOn(poll, "no"));
  assert.deepEqual((await told(one, vote)).options, ["no"]);
});
