/** Messages both ways, as fast as they go or at a pace, and what they took. */
import { setTimeout as delay } from "node:timers/promises";
import { until } from "@manyline/testkit";
import type { Ground } from "./ground.ts";
import type { Accepted, Outgoing, Side } from "./message-sides.ts";
import { cpuMs } from "./processes.ts";
import type { WireWatch } from "./wire-watch.ts";

/** What a run took; processor time in milliseconds, of the whole run and a second after it. */
export type Run = {
  count: number;
  /** From the first frame, or request, to the last message heard, or on the wire. */
  wallMs: number;
  clientMs: number;
  simulatorMs: number;
  othersMs: Record<string, number>;
  /** From the frame to the event, or from the acceptance to the wire, each in milliseconds. */
  latenciesMs: number[];
};
export type OutboundRun = Run & {
  /** From the first request to the last acceptance. */
  acceptedInMs: number;
  /** From the request to the wire. */
  fromAskedMs: number[];
};

/** What a message leaves to do (receipts, marks) counts as well. */
const SETTLE_MS = 1_000;
const DEADLINE_MS = 300_000;
/** Messages in one request to the simulator, and requests under way. */
const CHUNK = 100;
const CHUNKS = 2;

let serial = 0;

/** People write to the side's numbers, in turn; `perSecond` undefined: as fast as the simulator can. */
export async function inbound(
  ground: Ground,
  side: Side,
  options: { count: number; perSecond?: number },
): Promise<Run> {
  const letters = Array.from({ length: options.count }, (_, index) => {
    const place = index % side.phones.length;
    serial += 1;
    return { from: side.contacts[place], to: side.phones[place], text: `in ${serial}` };
  });
  const meter = startMeter(ground, side);
  const sent = new Map<string, number>();
  const write = async (some: typeof letters): Promise<void> => {
    const response = await fetch(`${ground.simulator.httpUrl}/messages`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(some),
    });
    if (!response.ok) throw new Error(`messages: ${response.status} ${await response.text()}`);
    for (const { id, at } of (await response.json()) as { id: string; at: number }[])
      sent.set(id, at);
  };
  await (options.perSecond === undefined
    ? inChunks(letters, write)
    : paced(letters, options.perSecond, (letter) => write([letter])));
  let heard: ReadonlyMap<string, number> = new Map();
  await until(
    async () => {
      heard = await side.heard();
      return [...sent.keys()].every((id) => heard.has(id));
    },
    { deadlineMs: DEADLINE_MS, intervalMs: 100, label: `${side.name}: all messages heard` },
  );
  const spent = await meter();
  const times = [...sent].map(([id, at]) => ({ at, heardAt: heard.get(id) ?? Number.NaN }));
  const firstAt = Math.min(...times.map(({ at }) => at));
  return {
    count: times.length,
    wallMs: Math.max(...times.map(({ heardAt }) => heardAt)) - firstAt,
    ...spent,
    latenciesMs: times.map(({ at, heardAt }) => heardAt - at),
  };
}

/** The side's numbers write to their contacts, in turn. */
export async function outbound(
  ground: Ground,
  side: Side,
  wire: WireWatch,
  options: { count: number; perSecond?: number },
): Promise<OutboundRun> {
  const sends: Outgoing[] = Array.from({ length: options.count }, (_, index) => {
    serial += 1;
    return { place: index % side.phones.length, text: `out ${serial}` };
  });
  const meter = startMeter(ground, side);
  const accepted: Accepted[] = [];
  const { perSecond } = options;
  if (perSecond === undefined) accepted.push(...(await side.send(sends)));
  else {
    await paced(sends, perSecond, async (one) => {
      accepted.push(...(await side.send([one])));
    });
  }
  await until(() => sends.every(({ text }) => wire.arrived.has(text)), {
    deadlineMs: DEADLINE_MS,
    intervalMs: 100,
    label: `${side.name}: all messages on the wire`,
  });
  const spent = await meter();
  const times = accepted.map(({ text, askedAt, acceptedAt }) => ({
    askedAt,
    acceptedAt,
    wireAt: wire.arrived.get(text) ?? Number.NaN,
  }));
  const firstAt = Math.min(...times.map(({ askedAt }) => askedAt));
  return {
    count: times.length,
    wallMs: Math.max(...times.map(({ wireAt }) => wireAt)) - firstAt,
    acceptedInMs: Math.max(...times.map(({ acceptedAt }) => acceptedAt)) - firstAt,
    ...spent,
    latenciesMs: times.map(({ acceptedAt, wireAt }) => wireAt - acceptedAt),
    fromAskedMs: times.map(({ askedAt, wireAt }) => wireAt - askedAt),
  };
}

/** Every pair has written both ways: sessions exist, nobody's first message is among those measured. */
export async function warmUp(ground: Ground, side: Side, wire: WireWatch): Promise<void> {
  const count = side.phones.length;
  await inbound(ground, side, { count });
  await outbound(ground, side, wire, { count });
  await inbound(ground, side, { count });
  await outbound(ground, side, wire, { count });
}

function startMeter(ground: Ground, side: Side) {
  const simulator = (): number => cpuMs(ground.simulator.process.pid);
  const before = { ...side.cpu(), simulator: simulator() };
  return async (): Promise<Pick<Run, "clientMs" | "othersMs" | "simulatorMs">> => {
    await delay(SETTLE_MS);
    const after = side.cpu();
    return {
      clientMs: after.client - before.client,
      simulatorMs: simulator() - before.simulator,
      othersMs: Object.fromEntries(
        Object.entries(after.others).map(([name, ms]) => [name, ms - (before.others[name] ?? 0)]),
      ),
    };
  };
}

async function inChunks<T>(all: readonly T[], work: (some: T[]) => Promise<void>): Promise<void> {
  const chunks = Array.from({ length: Math.ceil(all.length / CHUNK) }, (_, index) =>
    all.slice(index * CHUNK, (index + 1) * CHUNK),
  ).values();
  const lane = async (): Promise<void> => {
    for (const chunk of chunks) await work(chunk);
  };
  await Promise.all(Array.from({ length: CHUNKS }, lane));
}

/** Begins one after another at even times, whatever the earlier ones take. */
async function paced<T>(
  all: readonly T[],
  perSecond: number,
  work: (one: T) => Promise<void>,
): Promise<void> {
  const startedAt = performance.now();
  const running: Promise<void>[] = [];
  for (const [index, one] of all.entries()) {
    await delay(Math.max(0, startedAt + (index * 1_000) / perSecond - performance.now()));
    running.push(work(one));
  }
  await Promise.all(running);
}
