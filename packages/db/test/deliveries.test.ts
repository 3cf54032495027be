/** The queues of customers' endpoints: once, in the order of chats, each for itself, nothing lost with whoever dies. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type CompanyId, companyRemoved, makeEvent, newSubscriptionId } from "@manyline/contracts";
import {
  addSubscription,
  appendEvents,
  type Attempt,
  changeSubscription,
  claimDeliveries,
  type Database,
  deleteOldDeliveries,
  disableSubscription,
  dueQueues,
  type Fate,
  getSubscription,
  inTransaction,
  listDeliveries,
  listSubscriptions,
  noteDirectDelivery,
  type QueuedEvent,
  type QueueKey,
  queueDeliveries,
  readEndpoint,
  removeSubscription,
  replayDeliveries,
  replayRange,
  rotateSubscriptionSecret,
  type Settled,
  settleDeliveries,
  type Settlement,
  subscriptionsFor,
  withCompany,
} from "../src/index.ts";
import { addCompany, openWorld, type World } from "./support.ts";

let world: World;
let notify: Database;
before(async () => {
  world = await openWorld();
  notify = world.open("notify");
});
after(() => world[Symbol.asyncDispose]());

type Tenant = QueueKey & { companyId: string };

async function subscribe(
  events: string[] = ["*"],
  company?: { companyNo: number; companyId: string },
): Promise<Tenant> {
  const { companyNo, companyId } = company ?? (await addCompany(world));
  const subscriptionId = newSubscriptionId();
  const input = {
    subscriptionId,
    url: "https://hooks.example/in",
    events,
    headers: { authorization: "Bearer customer" },
    secret: "whsec_AAAA",
  };
  const isAdded = await withCompany(world.app, companyNo, (tx) =>
    addSubscription(tx, world.test.keyring, companyNo, input, 20),
  );
  assert.ok(isAdded);
  return { companyNo, companyId, subscriptionId };
}

/** Stored in the log, as the facts' transactions do it. */
async function store({ companyNo, companyId }: Tenant): Promise<string> {
  const event = makeEvent(
    companyRemoved,
    { companyId: companyId as CompanyId },
    { id: companyId },
    { service: "test", at: new Date() },
  );
  await inTransaction(world.platform, (tx) =>
    appendEvents(tx, [{ companyNo, numberNo: null, event }]),
  );
  return event.envelope.id;
}

async function queued(
  tenant: Tenant,
  more: Partial<QueuedEvent> = {},
): Promise<{ eventId: string; queues: QueueKey[] }> {
  const eventId = more.eventId ?? (await store(tenant));
  const type = more.type ?? "company.removed";
  const event: QueuedEvent = {
    eventId,
    companyId: tenant.companyId,
    type,
    filters: ["*", `${type.split(".")[0]}.*`, type],
    chat: null,
    seq: null,
    at: new Date(),
    holdMs: 0,
    ...more,
  };
  return { eventId, queues: await queueDeliveries(notify, [event]) };
}

const claim = (key: QueueKey, limit = 10, claimMs = 30_000) =>
  claimDeliveries(notify, [{ ...key, limit, claimMs }]).then(([list = []]) => list);
const settleDelivery = async (
  key: QueueKey,
  delivery: Settlement["delivery"],
  attempt: Attempt,
  fate: Fate,
): Promise<Settled> => {
  const [settled] = await settleDeliveries(notify, [{ key, delivery, attempt, fate }]);
  if (!settled) throw new Error("there was no answer");
  return settled;
};
const ok = { status: 200, error: null, latencyMs: 5 };
const bad = { status: 503, error: null, latencyMs: 5 };
const again = (inMs: number, isLate = false) =>
  ({ kind: "again", inMs, isLate, pauseMs: 0 }) as const;
const list = (key: QueueKey) =>
  withCompany(world.app, key.companyNo, (tx) => listDeliveries(tx, key, { limit: 100 }));

test("an event goes once to each subscription that asks for it, and to no other company's", async () => {
  const all = await subscribe();
  const family = await subscribe(["company.*"], all);
  const other = await subscribe(["message.*"], all);
  const stranger = await subscribe();
  const { eventId, queues } = await queued(all);
  assert.deepEqual(
    queues.map(({ subscriptionId }) => subscriptionId).toSorted(),
    [all.subscriptionId, family.subscriptionId].toSorted(),
  );
  assert.deepEqual((await queued(all, { eventId })).queues, [], "a second time");
  const [one, ...more] = await claim(all);
  assert.equal(one?.eventId, eventId);
  assert.equal(one?.envelope?.id, eventId);
  assert.deepEqual(more, []);
  for (const key of [other, stranger]) assert.deepEqual(await claim(key), []);
});

test("what is claimed is nobody else's until the claim ends; a late settlement changes nothing", async () => {
  const key = await subscribe();
  await queued(key);
  const [first] = await claim(key, 10, 50);
  assert.ok(first);
  assert.deepEqual(await claim(key), []);
  await world.superuser.query("select pg_sleep(0.06)");
  const [second] = await claim(key);
  assert.equal(second?.deliveryNo, first.deliveryNo);
  assert.equal(second?.attempts, 2);
  assert.equal((await settleDelivery(key, first, bad, again(0))).isSettled, false);
  assert.equal((await settleDelivery(key, second, ok, { kind: "delivered" })).isSettled, true);
  const [row] = await list(key);
  assert.deepEqual([row?.state, row?.attempts, row?.status], ["delivered", 2, 200]);
});

test("of a chat one is under way at a time, by seq; one that steps aside holds up nobody", async () => {
  const key = await subscribe();
  const eventOf = async (chat: string, seq: number): Promise<string> =>
    (await queued(key, { chat, seq })).eventId;
  const second = await eventOf("cht_a", 2);
  const first = await eventOf("cht_a", 1);
  const elsewhere = await eventOf("cht_b", 7);
  const claimed = await claim(key);
  assert.deepEqual(new Set(claimed.map(({ eventId }) => eventId)), new Set([first, elsewhere]));
  const head = claimed.find(({ eventId }) => eventId === first);
  assert.ok(head);
  await settleDelivery(key, head, bad, again(60_000));
  assert.deepEqual(await claim(key), [], "the next of the chat waits for it");
  await world.superuser.query("update deliveries set due_at = now() where delivery_no = $1", [
    head.deliveryNo,
  ]);
  const [retried] = await claim(key);
  assert.equal(retried?.eventId, first);
  await settleDelivery(key, retried ?? head, bad, again(60_000, true));
  assert.deepEqual(
    (await claim(key)).map(({ eventId }) => eventId),
    [second],
  );
});

test("an endpoint that fails is left alone, remembers since when, and forgets it with a success", async () => {
  const key = await subscribe();
  await queued(key);
  await queued(key);
  const [one] = await claim(key, 1);
  assert.ok(one);
  await settleDelivery(key, one, bad, { ...again(0), pauseMs: 60_000 });
  assert.deepEqual(await claim(key), []);
  assert.ok(!(await dueQueues(notify)).some((due) => due.subscriptionId === key.subscriptionId));
  const failing = await withCompany(world.app, key.companyNo, (tx) =>
    getSubscription(tx, key.companyNo, key.subscriptionId),
  );
  assert.deepEqual([failing?.failures, failing?.lastError], [1, "answered 503"]);
  assert.ok(failing?.failingSince);
  await world.superuser.query("update webhook_subscriptions set next_try_at = now()");
  assert.ok((await dueQueues(notify)).some((due) => due.subscriptionId === key.subscriptionId));
  const [two] = await claim(key, 1);
  assert.ok(two);
  await settleDelivery(key, two, ok, { kind: "delivered" });
  const endpoint = await readEndpoint(
    notify,
    world.test.keyring,
    key.companyNo,
    key.subscriptionId,
  );
  assert.deepEqual([endpoint?.failures, endpoint?.failingSince], [0, null]);
});

test("one that is switched off gets nothing, and all of it when a range is replayed", async () => {
  const key = await subscribe();
  const switchOff = () => inTransaction(notify, (tx) => disableSubscription(tx, key));
  assert.equal(await switchOff(), false, "it is well again by now");
  await world.superuser.query(
    "update webhook_subscriptions set failing_since = now() where subscription_id = $1",
    [key.subscriptionId],
  );
  assert.equal(await switchOff(), true);
  assert.equal(await switchOff(), false);
  const { eventId, queues } = await queued(key);
  assert.deepEqual(queues, []);
  const inCompany = <T>(work: Parameters<typeof withCompany<T>>[2]) =>
    withCompany(world.app, key.companyNo, work);
  const patch = { isEnabled: true };
  await inCompany((tx) =>
    changeSubscription(tx, world.test.keyring, key.companyNo, key.subscriptionId, patch),
  );
  const range = { from: new Date(Date.now() - 60_000), to: new Date(Date.now() + 60_000), most: 9 };
  assert.equal((await inCompany((tx) => replayRange(tx, key, range))).count, 1);
  assert.equal((await inCompany((tx) => replayRange(tx, key, range))).count, 0, "it waits already");
  const [one] = await claim(key);
  assert.equal(one?.eventId, eventId);
});

test("the dead and the delivered are replayed, a code never", async () => {
  const key = await subscribe();
  const inCompany = <T>(work: Parameters<typeof withCompany<T>>[2]) =>
    withCompany(world.app, key.companyNo, work);
  const { eventId } = await queued(key);
  const [one] = await claim(key);
  assert.ok(one);
  await settleDelivery(key, one, bad, { kind: "dead", pauseMs: 0 });
  const code = { id: "evt_code", type: "pairing-code", attempts: 1, isDelivered: false, ...bad };
  await noteDirectDelivery(notify, key, code);
  assert.equal(await inCompany((tx) => replayDeliveries(tx, key, { isDead: true })), 1);
  for (const [id, count] of [
    [eventId, 0],
    ["evt_code", 0],
  ] as const) {
    assert.equal(await inCompany((tx) => replayDeliveries(tx, key, { eventId: id })), count, id);
  }
  const [two] = await claim(key);
  assert.deepEqual([two?.eventId, two?.attempts], [eventId, 1]);
  await settleDelivery(key, two ?? one, ok, { kind: "delivered" });
  assert.equal(await inCompany((tx) => replayDeliveries(tx, key, { eventId })), 1);
});

test("secrets and headers are sealed; a former secret signs until its time is over", async () => {
  const key = await subscribe(["pairing-code"]);
  const { companyNo, companyId, subscriptionId } = key;
  const read = () => readEndpoint(notify, world.test.keyring, companyNo, subscriptionId);
  const rotate = (secret: string, overlapMs: number) =>
    withCompany(world.app, companyNo, (tx) =>
      rotateSubscriptionSecret(tx, world.test.keyring, companyNo, subscriptionId, {
        secret,
        overlapMs,
      }),
    );
  assert.equal(await rotate("whsec_BBBB", 60_000), true);
  const endpoint = await read();
  assert.deepEqual(endpoint?.secrets, ["whsec_BBBB", "whsec_AAAA"]);
  assert.deepEqual(endpoint?.headers, { authorization: "Bearer customer" });
  await rotate("whsec_CCCC", -1);
  assert.deepEqual((await read())?.secrets, ["whsec_CCCC"]);
  const { rows } = await world.superuser.query<{ text: string }>(
    "select s::text as text from webhook_subscriptions s where subscription_id = $1",
    [subscriptionId],
  );
  assert.doesNotMatch(rows[0]?.text ?? "", /whsec|Bearer|7768736563/);
  assert.deepEqual(await subscriptionsFor(notify, companyId, ["pairing-code"]), [
    { companyNo, subscriptionId },
  ]);
  assert.deepEqual(await subscriptionsFor(notify, companyId, ["*"]), []);
});

test("a company sees and changes its own, has so many at most, and what is removed is gone", async () => {
  const mine = await subscribe();
  const theirs = await subscribe();
  await queued(theirs);
  const asMine = <T>(work: Parameters<typeof withCompany<T>>[2]) =>
    withCompany(world.app, mine.companyNo, work);
  assert.equal((await asMine((tx) => listSubscriptions(tx, theirs.companyNo))).length, 0);
  assert.equal((await asMine((tx) => listDeliveries(tx, theirs, { limit: 9 }))).length, 0);
  assert.equal(await asMine((tx) => replayDeliveries(tx, theirs, { isDead: true })), 0);
  const { companyNo, subscriptionId } = theirs;
  assert.equal(await asMine((tx) => removeSubscription(tx, companyNo, subscriptionId)), false);
  const input = { subscriptionId: newSubscriptionId(), url: "https://x.example", events: ["*"] };
  const isAdded = await asMine((tx) =>
    addSubscription(
      tx,
      world.test.keyring,
      mine.companyNo,
      { ...input, headers: {}, secret: "whsec_AAAA" },
      1,
    ),
  );
  assert.equal(isAdded, false);
  const removed = await withCompany(world.app, companyNo, (tx) =>
    removeSubscription(tx, companyNo, subscriptionId),
  );
  assert.equal(removed, true);
  assert.deepEqual(await list(theirs), []);
});

test("deliveries are kept for so long", async () => {
  const key = await subscribe();
  await queued(key);
  await queued(key);
  await world.superuser.query(
    `update deliveries set created_at = now() - interval '9 days' where delivery_no =
      (select min(delivery_no) from deliveries where subscription_id = $1)`,
    [key.subscriptionId],
  );
  assert.equal(await deleteOldDeliveries(world.worker, 8 * 86_400_000), 1);
  assert.equal((await list(key)).length, 1);
});
