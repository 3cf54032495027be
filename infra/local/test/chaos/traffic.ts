/** What the simulated WhatsApp saw: who sent what and when, judged by who owned the number at that moment. */
import type { Connection } from "@manyline/simulators";
import type { Fleet } from "../../src/testing/fleet.ts";
import type { ShardChange } from "./write-audit.ts";

/** A stanza is noted when the simulator reads it, a little after it was sent; and more than a little in a stall. */
const GRACE_MS = 100;

type Stanza = { phone: string; label: string; at: number; kind: string };

/** `before` and `after`: the claims of the shard around that moment, and how many milliseconds away they were. */
export type StaleStanza = Stanza & {
  owner: string | undefined;
  before: string | undefined;
  after: string | undefined;
};

/** A frozen process holds its connections open without using them: such a time is no overlap. */
export type Pause = { label: string; from: number; to: number };

export type Overlaps = { count: number; maxMs: number; totalMs: number };

/** Pre-keys that a client gave to the server. */
export type Upload = { phone: string; label: string; at: number; ids: number[] };

const PRE_KEY_BYTES = 35;
const STALL_LOOK_MS = 10;
/** The two clocks are read one after the other, and one of them in whole milliseconds. */
const CLOCK_STEP_MS = 5;

export class Traffic {
  /** In order. */
  readonly uploads: Upload[] = [];
  readonly #fleet: Fleet;
  readonly #stanzas: Stanza[] = [];
  /** Connections whose login is over. */
  readonly #live = new WeakSet<Connection>();
  readonly #shardOf: Map<string, number>;
  readonly #stalls = new Stalls();

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
    this.#shardOf = new Map(fleet.numbers.map(({ phone, shardId }) => [phone, shardId]));
    fleet.simulator.server.events.on("in", ({ connection, stanza }) => {
      const { device, label } = connection;
      if (!device || label === null) return;
      const kind = `${stanza.tag} ${stanza.attrs["xmlns"] ?? stanza.attrs["type"] ?? ""}`.trim();
      this.#stanzas.push({ phone: device.account.phone, label, at: Date.now(), kind });
    });
    fleet.simulator.server.events.on("live", ({ connection }) => {
      if (connection) this.#live.add(connection);
    });
    fleet.simulator.server.events.on("pre-keys", ({ device, count }) => {
      const newest = device.preKeys.packed.subarray(-count * PRE_KEY_BYTES);
      const ids = Array.from({ length: count }, (_, n) => newest.readUIntBE(n * PRE_KEY_BYTES, 3));
      const { phone } = device.account;
      this.uploads.push({ phone, label: device.connection?.label ?? "", at: Date.now(), ids });
    });
  }

  /** Stanzas of logged-in devices so far. */
  get count(): number {
    return this.#stanzas.length;
  }

  /** The label through which a number is connected (its login is over), if the process behind it runs. */
  labelOf(number: Fleet["numbers"][number]): string | undefined {
    const { server } = this.#fleet.simulator;
    const device = server.directory.get(number.phone)?.devices.get(number.deviceId);
    const connection = device?.connection;
    if (!connection?.isOpen || connection.label === null) return undefined;
    if (!this.#live.has(connection)) return undefined;
    const isRunning = this.#fleet.workers.get(connection.label)?.state === "running";
    return isRunning ? connection.label : undefined;
  }

  /** Stanzas sent by a process after somebody else had taken the number's shard. */
  staleStanzas(changes: readonly ShardChange[]): StaleStanza[] {
    const history = new OwnerHistory(changes);
    return this.#stanzas.flatMap((stanza) => {
      const owner = this.#strangerTo(history, stanza.phone, stanza.label, stanza.at);
      return owner === undefined ? [] : [{ ...stanza, owner, ...this.#around(history, stanza) }];
    });
  }

  /** Logins with a number's credentials while somebody else owned it: WhatsApp then disconnects the owner. */
  staleLogins(changes: readonly ShardChange[]): StaleStanza[] {
    const history = new OwnerHistory(changes);
    return this.#fleet.simulator.server.record.list().flatMap(({ phone, label, openedAt }) => {
      const owner = this.#strangerTo(history, phone, label ?? "", openedAt);
      const login = { phone, label: label ?? "", at: openedAt, kind: "login" };
      return owner === undefined ? [] : [{ ...login, owner, ...this.#around(history, login) }];
    });
  }

  /** How far the machine's clock was set away from where it was, milliseconds; Postgres' times jump with it. */
  get clockStepMs(): number {
    return this.#stalls.stepMs;
  }

  /** Times in which two connections of a device were open, both of running processes. */
  overlaps(pauses: readonly Pause[]): Overlaps {
    const { overlaps } = this.#fleet.simulator.server.record.summary();
    const times = overlaps.map((one) => {
      const to = one.at + one.ms;
      const frozen = pauses
        .filter(({ label }) => label === one.older.label)
        .reduce((sum, pause) => sum + overlapMs(pause, { from: one.at, to }), 0);
      return one.ms - frozen;
    });
    return {
      count: times.length,
      maxMs: Math.max(0, ...times),
      totalMs: times.reduce((sum, ms) => sum + ms, 0),
    };
  }

  /** How long each number was without a connection since `since` when one followed another, ascending. */
  gaps(since: number): number[] {
    const ends = new Map<string, number>();
    const gaps: number[] = [];
    for (const login of this.#fleet.simulator.server.record.list({ since })) {
      const end = ends.get(login.phone);
      if (end !== undefined && login.openedAt >= since)
        gaps.push(Math.max(0, login.openedAt - end));
      if (login.closedAt !== null) ends.set(login.phone, login.closedAt);
    }
    return gaps.toSorted((a, b) => a - b);
  }

  /** The owner at that moment, if it was and had been somebody else; undefined: all is well. */
  #strangerTo(history: OwnerHistory, phone: string, label: string, at: number) {
    const shardId = this.#shardOf.get(phone) ?? 0;
    const { stepMs } = this.#stalls;
    const from = at - GRACE_MS - 2 * this.#stalls.longestBefore(at) - stepMs;
    const isOwner = history.isOwnedBetween(shardId, label, from, at + stepMs);
    return isOwner ? undefined : history.ownerAt(shardId, at);
  }

  #around(history: OwnerHistory, { phone, at }: Stanza): Pick<StaleStanza, "before" | "after"> {
    return history.around(this.#shardOf.get(phone) ?? 0, at);
  }
}

/** Who owned a shard when; a shard that was given back is still its former owner's until it is taken. */
class OwnerHistory {
  readonly #claims = new Map<number, { at: number; label: string }[]>();

  constructor(changes: readonly ShardChange[]) {
    // By epoch: times do not tell the order when somebody sets the clock.
    for (const { shardId, label, at, isRelease } of changes.toSorted((a, b) => a.epoch - b.epoch)) {
      if (isRelease) continue;
      const claims = this.#claims.get(shardId) ?? [];
      claims.push({ at: at.getTime(), label });
      this.#claims.set(shardId, claims);
    }
  }

  ownerAt(shardId: number, at: number): string | undefined {
    return this.#claims.get(shardId)?.findLast((claim) => claim.at <= at)?.label;
  }

  /** Whether it was the label's at some moment of that time. */
  isOwnedBetween(shardId: number, label: string, from: number, to: number): boolean {
    const claims = this.#claims.get(shardId) ?? [];
    return claims.some((claim, nth) => {
      const end = claims[nth + 1]?.at ?? Number.POSITIVE_INFINITY;
      return claim.label === label && claim.at <= to && end > from;
    });
  }

  around(shardId: number, at: number): { before: string | undefined; after: string | undefined } {
    const claims = this.#claims.get(shardId) ?? [];
    const tell = (claim: { at: number; label: string } | undefined): string | undefined =>
      claim && `${claim.label} ${Math.abs(claim.at - at)} ms`;
    return {
      before: tell(claims.findLast((claim) => claim.at <= at)),
      after: tell(claims.find((claim) => claim.at > at)),
    };
  }
}

/** When this process, and with it the simulator, could not do anything; and whether somebody set the clock. */
class Stalls {
  readonly #found: { at: number; ms: number }[] = [];
  #offsets: { least: number; most: number };

  constructor() {
    const offsetNow = (): number => Date.now() - performance.now();
    let lastOffset = offsetNow();
    this.#offsets = { least: lastOffset, most: lastOffset };
    let last = performance.now();
    setInterval(() => {
      const now = performance.now();
      const ms = now - last - STALL_LOOK_MS;
      if (ms > STALL_LOOK_MS) this.#found.push({ at: Date.now(), ms });
      last = now;
      // Seen twice: between two readings the process may have had to wait.
      const offset = offsetNow();
      const isSure = Math.abs(offset - lastOffset) < CLOCK_STEP_MS;
      lastOffset = offset;
      if (!isSure) return;
      const { least, most } = this.#offsets;
      this.#offsets = { least: Math.min(least, offset), most: Math.max(most, offset) };
    }, STALL_LOOK_MS).unref();
  }

  /** 0: nobody set the clock. */
  get stepMs(): number {
    const ms = this.#offsets.most - this.#offsets.least;
    return ms < CLOCK_STEP_MS ? 0 : Math.ceil(ms);
  }

  /** Milliseconds; of those that ended within the second before, or just after. */
  longestBefore(at: number): number {
    const near = this.#found.filter((one) => one.at > at - 1_000 && one.at - one.ms <= at);
    return Math.max(0, ...near.map(({ ms }) => ms));
  }
}

function overlapMs(a: { from: number; to: number }, b: { from: number; to: number }): number {
  return Math.max(0, Math.min(a.to, b.to) - Math.max(a.from, b.from));
}

/** Of ascending values. */
export function percentile(values: readonly number[], share: number): number {
  return values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;
}
