/** The queue of notices: once, by reader, nothing lost with whoever dies, nobody sees another company's. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  claimDesk,
  claimUrgent,
  createNoticeLink,
  type Database,
  deleteOldNotifications,
  dueDesks,
  endNoticeLinks,
  endOverdueNotifications,
  exchangeLink,
  inTransaction,
  listNotifications,
  type NewNotification,
  queueNotifications,
  readDesk,
  settleNotifications,
  withCompany,
} from "../src/index.ts";
import { addCompany, addNumber, openWorld, type World } from "./support.ts";

let world: World;
let notify: Database;
before(async () => {
  world = await openWorld();
  notify = world.open("notify");
});
after(() => world[Symbol.asyncDispose]());

let serial = 0;
async function newNotice(more: Partial<NewNotification> = {}): Promise<NewNotification> {
  serial += 1;
  const companyNo = more.companyNo ?? (await addCompany(world)).companyNo;
  return {
    companyNo,
    numberNo: null,
    eventId: `evt_${serial}`,
    kind: "restricted",
    facts: { until: null },
    attemptId: null,
    channel: "email",
    address: `desk${serial}@salon.example`,
    addressKey: `desk${serial}@salon.example`,
    provider: null,
    isUrgent: false,
    letterId: `ntc_${serial}`,
    expiresAt: new Date(Date.now() + 60_000),
    ...more,
  };
}
const deskOf = ({ channel, addressKey }: NewNotification) => ({ channel, addressKey });
const claim = (notice: NewNotification, claimMs = 5_000) =>
  inTransaction(notify, (tx) =>
    claimDesk(tx, deskOf(notice), { letterId: "ntc_new", claimMs, limit: 10 }),
  );

test("a notice is queued once, and what is over is not", async () => {
  const notice = await newNotice();
  assert.equal(await queueNotifications(notify, [notice], 0), 1);
  assert.equal(await queueNotifications(notify, [notice], 0), 0);
  const late = await newNotice({ expiresAt: new Date(Date.now() - 1) });
  assert.equal(await queueNotifications(notify, [late], 0), 0);
});

test("one notifier at a time writes to a reader, all that waits in one letter; a lost claim comes again as it was", async () => {
  const first = await newNotice();
  const second = await newNotice({
    companyNo: first.companyNo,
    addressKey: first.addressKey,
    address: first.address,
  });
  await queueNotifications(notify, [first, second], 0);
  const texted = await newNotice({ channel: "sms", addressKey: `7900555${serial}` });
  await queueNotifications(notify, [texted], 0);
  const due = await dueDesks(notify, "email", 100);
  assert.ok(due.some((desk) => desk.addressKey === first.addressKey));
  const [desk] = await dueDesks(notify, "sms", 1);
  assert.equal(desk?.addressKey, texted.addressKey, "mails that are due longer do not hide an SMS");
  const open = await inTransaction(notify, async (tx) => {
    assert.equal((await readDesk(tx, deskOf(first)))?.isTaken, false);
    return inTransaction(notify, (other) => readDesk(other, deskOf(first)));
  });
  assert.equal(open, undefined, "another one looks elsewhere");
  const claimed = await claim(first, 1);
  assert.equal(claimed.length, 2);
  const third = await newNotice({
    companyNo: first.companyNo,
    addressKey: first.addressKey,
    address: first.address,
  });
  await queueNotifications(notify, [third], 0);
  const again = await claim(first);
  assert.deepEqual(
    again.map(({ letterId, isRepeat, attempts }) => [letterId, isRepeat, attempts]),
    [
      ["ntc_new", true, 2],
      ["ntc_new", true, 2],
    ],
  );
  assert.equal(again[0]?.tries[0]?.outcome, "unknown");
  const sent = { outcome: "sent", code: null, latencyMs: 5 };
  assert.equal(
    await settleNotifications(notify, claimed, sent, { state: "sent" }),
    0,
    "not theirs",
  );
  assert.equal(await settleNotifications(notify, again, sent, { state: "sent" }), 2);
  assert.deepEqual(
    (await claim(first)).map(({ isRepeat }) => isRepeat),
    [false],
  );
});

test("what somebody waits for is claimed by channel; what ended is over", async () => {
  const notice = await newNotice({ isUrgent: true, channel: "sms", kind: "pairing_code" });
  await queueNotifications(notify, [notice], 60_000);
  const options = { limit: 100, claimMs: 1 };
  assert.deepEqual(await claimUrgent(notify, { ...options, channel: "email" }), []);
  const [claimed] = await claimUrgent(notify, { ...options, channel: "sms" });
  assert.equal(claimed?.companyNo, notice.companyNo);
  const ended = await newNotice();
  await queueNotifications(notify, [ended], 0);
  await world.superuser.query(
    "update notifications set expires_at = now() where letter_id = any ($1)",
    [[notice.letterId, ended.letterId]],
  );
  assert.ok((await endOverdueNotifications(notify)) >= 2);
});

test("a company sees its own; notices are kept for 30 days", async () => {
  const notice = await newNotice();
  const other = await newNotice();
  await queueNotifications(notify, [notice, other], 0);
  const list = (companyNo: number, asked: number) =>
    withCompany(world.app, companyNo, (tx) => listNotifications(tx, asked, { limit: 10 }));
  assert.equal((await list(notice.companyNo, notice.companyNo)).length, 1);
  assert.equal((await list(notice.companyNo, other.companyNo)).length, 0);
  await world.superuser.query(
    "update notifications set created_at = now() - interval '31 days' where letter_id = $1",
    [notice.letterId],
  );
  assert.equal(await deleteOldNotifications(world.worker, 30 * 86_400_000), 1);
});

test("a link in a mail works ten times, for one number, until that is linked; notify sees no token", async () => {
  const { companyNo } = await addCompany(world);
  const { numberNo } = await addNumber(world, companyNo);
  const input = { companyNo, numberNo, scopes: ["pair"] as const, ttlMs: 60_000 };
  const secret = await createNoticeLink(notify, input);
  for (let count = 0; count < 2; count += 1) {
    const cookie = await exchangeLink(world.app, secret, 60_000);
    assert.deepEqual([cookie?.numberNo, cookie?.scopes], [numberNo, ["pair"]]);
  }
  await endNoticeLinks(notify, [{ companyNo, numberNo }]);
  assert.equal(await exchangeLink(world.app, secret, 60_000), undefined);
  const second = await createNoticeLink(notify, input);
  for (let count = 0; count < 10; count += 1) {
    assert.ok(await exchangeLink(world.app, second, 60_000), `time ${count + 1}`);
  }
  assert.equal(await exchangeLink(world.app, second, 60_000), undefined, "the eleventh time");
  await assert.rejects(
    notify.selectFrom("apiTokens").select("tokenId").execute(),
    /permission denied/,
  );
});
