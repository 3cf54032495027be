/**
 * The search over the model of the fence (services/session-worker/test/model) says which checks are safe. Here
 * the same small steps run on the real Postgres, in every order: a writer with the old epoch checks, writes
 * and commits, while a new owner raises the fence, commits and reads. A stale write has landed when what is
 * stored in the end is not what the new owner has read.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "@manyline/testkit";
import { Client, type QueryResultRow } from "pg";
import { type Fence, writeAuth } from "../src/index.ts";
import { ownedNumber, openWorld, type World } from "./support.ts";

let world: World;
let writer: Session;
let weakWriter: Session;
let taker: Session;
before(async () => {
  world = await openWorld();
  writer = await Session.open(world.test.urls.worker);
  weakWriter = await Session.open(world.test.superuserUrl);
  taker = await Session.open(world.test.urls.worker);
});
after(async () => {
  for (const session of [writer, weakWriter, taker]) await session.close();
  await world[Symbol.asyncDispose]();
});

/** One connection that may wait for a lock while others go on. */
class Session {
  readonly #client: Client;
  readonly #pid: number;
  /** The step that waits, and everything after it. */
  #running: Promise<unknown> = Promise.resolve();
  #pending = 0;

  private constructor(client: Client, pid: number) {
    this.#client = client;
    this.#pid = pid;
  }
  static async open(url: string): Promise<Session> {
    const client = new Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
    return new Session(client, rows[0]?.pid ?? 0);
  }
  close(): Promise<void> {
    return this.#client.end();
  }
  async query<Row extends QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.#client.query<Row>(text, values)).rows;
  }
  /** Begins a step; resolves when it is done or waits for a lock of somebody else. */
  async start(step: () => Promise<unknown>): Promise<void> {
    this.#pending += 1;
    this.#running = this.#running.then(step).finally(() => {
      this.#pending -= 1;
    });
    // Its failure is told by `finish`.
    this.#running.catch(() => undefined);
    await until(async () => this.#pending === 0 || (await isWaiting(this.#pid)), { intervalMs: 1 });
  }
  async finish(): Promise<void> {
    await this.#running;
  }
}

async function isWaiting(pid: number): Promise<boolean> {
  const { rows } = await world.superuser.query<{ blocked: boolean }>(
    "select cardinality(pg_blocking_pids($1)) > 0 as blocked",
    [pid],
  );
  return rows[0]?.blocked ?? false;
}

const STALE = Buffer.from("stale");
/** Sees the rows past row security: the checks that are not hold_fence exist in this file only. */
const STALE_WRITE = `insert into auth_creds (company_no, number_no, value) values ($1, $2, '\\x00')
  on conflict (company_no, number_no) do update set value = excluded.value`;
const MY_EPOCH = "select from number_fence where company_no = $1 and number_no = $2 and epoch = $3";

const RAISE =
  "update number_fence set epoch = $3 where company_no = $1 and number_no = $2 and epoch < $3";

/** A writer's transaction, in steps; a fenced one gives up. */
type Check = {
  begin: () => Session;
  steps: (fence: Fence) => (() => Promise<unknown>)[];
  /** What shuts the writer out: a new owner, or (of the same owner) a new login. */
  taker?: "login";
};

/** `select`, whatever its lock, and then the write. */
const twoSteps = (lock: string): Check => ({
  begin: () => weakWriter,
  steps: ({ companyNo, numberNo, epoch }) => {
    let isMine = false;
    return [
      async () => {
        const held = await weakWriter.query(`${MY_EPOCH} ${lock}`, [companyNo, numberNo, epoch]);
        isMine = held.length === 1;
      },
      async () => isMine && (await weakWriter.query(STALE_WRITE, [companyNo, numberNo])),
      () => weakWriter.query("commit"),
    ];
  },
});

const HELD_WRITE =
  "select write_auth($1, $2, $3, false, '\\x00', '{}', '{}', '{}', '{}', '{}', null, null, '{}', null)";

/** One of the functions that hold fences, and then the write. */
const holding = (hold: string): Check => ({
  begin: () => writer,
  steps: ({ companyNo, numberNo, epoch }) => {
    const values = [companyNo, numberNo, epoch];
    let isMine = false;
    return [
      async () => {
        const [row] = await writer.query<{ held: boolean }>(`select ${hold} as held`, values);
        isMine = row?.held === true;
      },
      async () => isMine && (await writer.query(HELD_WRITE, values)),
      () => writer.query("commit"),
    ];
  },
});

const CHECKS: Record<string, Check> = {
  hold_fence: holding("hold_fence($1, $2, $3)"),
  hold_fences: holding(
    "cardinality(hold_fences(array[$1::int], array[$2::int], array[$3::bigint])) = 1",
  ),
  "write_auth alone": {
    begin: () => writer,
    steps: ({ companyNo, numberNo, epoch }) => [
      () => writer.query(HELD_WRITE, [companyNo, numberNo, epoch]),
      () => writer.query("commit"),
    ],
  },
  // The fence of a login inside that of its owner; each order begins with the next login.
  "hold_login, a new login": {
    taker: "login",
    begin: () => writer,
    steps: ({ companyNo, numberNo, epoch, login = 0 }) => [
      () =>
        writer.query(
          `select case when hold_login($1, $2, $3, $4) then (${HELD_WRITE}) else false end as held`,
          [companyNo, numberNo, epoch, login],
        ),
      () => writer.query("commit"),
    ],
  },
  "hold_fence, a new login": { ...holding("hold_fence($1, $2, $3)"), taker: "login" },
  "for share": twoSteps("for share"),
  "exists(...)": {
    begin: () => weakWriter,
    steps: ({ companyNo, numberNo, epoch }) => [
      () =>
        weakWriter.query(
          `insert into auth_creds (company_no, number_no, value)
            select $1, $2, '\\x00' where exists (${MY_EPOCH})
            on conflict (company_no, number_no) do update set value = excluded.value`,
          [companyNo, numberNo, epoch],
        ),
      () => weakWriter.query("commit"),
    ],
  },
  "a plain select": twoSteps(""),
  "for key share": twoSteps("for key share"),
};

/** All orders of the two lists that keep the order of each: `true` is a step of the first one. */
function interleavings(first: number, second: number): boolean[][] {
  if (first === 0) return [Array.from({ length: second }, () => false)];
  if (second === 0) return [Array.from({ length: first }, () => true)];
  return [
    ...interleavings(first - 1, second).map((rest) => [true].concat(rest)),
    ...interleavings(first, second - 1).map((rest) => [false].concat(rest)),
  ];
}

async function stored({ numberNo }: Fence): Promise<string | undefined> {
  const { rows } = await world.superuser.query<{ value: Buffer }>(
    "select value from auth_creds where number_no = $1",
    [numberNo],
  );
  return rows[0]?.value.toString("hex");
}

/** Whether the write of the old epoch landed after the new owner had read, in this order of steps. */
async function doesStaleWriteLand(check: Check, order: boolean[], fence: Fence): Promise<boolean> {
  const epoch = check.taker === "login" ? fence.epoch : fence.epoch + 1;
  const key = [fence.companyNo, fence.numberNo, epoch];
  let seen: string | undefined;
  const takerSteps = [
    // As raiseFences and beginLogins do it, but held open before the commit.
    () =>
      check.taker === "login"
        ? taker.query(
            "select * from begin_logins(array[$1::int], array[$2::int], array[$3::bigint])",
            key,
          )
        : taker.query(RAISE, key),
    () => taker.query("commit"),
    async () => {
      seen = await stored(fence);
    },
  ];
  const session = check.begin();
  const writerSteps = check.steps(fence);
  await session.query("begin");
  await taker.query("begin");
  for (const isWriter of order) {
    const step = isWriter ? writerSteps.shift() : takerSteps.shift();
    if (step) await (isWriter ? session : taker).start(step);
  }
  await Promise.all([session.finish(), taker.finish()]);
  return (await stored(fence)) !== seen;
}

const SAFE = new Set([
  "hold_fence",
  "hold_fences",
  "write_auth alone",
  "hold_login, a new login",
  "for share",
]);

for (const [name, check] of Object.entries(CHECKS)) {
  const isSafe = SAFE.has(name);
  const promise = isSafe ? "no order lets a stale write land" : "a stale write lands";
  test(`${name}: ${promise}`, async (t) => {
    const { fence } = await ownedNumber(world);
    const orders = interleavings(check.steps(fence).length, 3);
    const landed: string[] = [];
    for (const [index, order] of orders.entries()) {
      // Somebody's credentials are there already, as in life; each order has its own epoch.
      const epoch = fence.epoch + 2 * index;
      await world.superuser.query("update number_fence set epoch = $2 where number_no = $1", [
        fence.numberNo,
        epoch,
      ]);
      const { rows } = await world.superuser.query<{ login: number }>(
        "select login from number_fence where number_no = $1",
        [fence.numberNo],
      );
      const now = { ...fence, epoch, login: rows[0]?.login ?? 0 };
      await writeAuth(world.worker, world.test.keyring, now, { creds: STALE });
      if (await doesStaleWriteLand(check, order, now)) {
        landed.push(order.map((isWriter) => (isWriter ? "writer" : "taker")).join(", "));
      }
    }
    t.diagnostic([`${landed.length} of ${orders.length} orders`, ...landed].join("\n  "));
    if (isSafe) assert.deepEqual(landed, []);
    else assert.ok(landed.length > 0, "the test cannot see what it is there for");
  });
}
