/** Rows to the shapes of the operator's routes. Pure. */
import type { Metrics, Session, Shard, ShardMove, Worker } from "@manyline/contracts";
import type {
  MetricsRow,
  SessionRow,
  ShardCompanies,
  ShardMoveRow,
  ShardRow,
  WorkerRow,
} from "@manyline/db";
import { statusOf } from "./answers.ts";
import { numberIdOf } from "./ids.ts";
import { healthScore } from "./status.ts";

export function workerAnswer(row: WorkerRow): Worker {
  return {
    id: row.workerId,
    host: orNull(row.host),
    version: orNull(row.version),
    generation: row.generation,
    capacity: row.capacity,
    isLive: row.isLive,
    isDraining: row.draining,
    drainAsked: row.drainAsked,
    startedAt: row.startedAt.toISOString(),
    seenAt: row.seenAt.toISOString(),
    shards: row.shards,
    weight: row.weight,
    ...figuresOf(row),
  };
}

/** A worker that is gone serves nothing, whatever it said last. */
function figuresOf(row: WorkerRow): Pick<Worker, "numbers" | "connected" | "opening" | "waiting"> {
  const { isLive, numbers, connected, opening, waiting } = row;
  if (!isLive) return { numbers: 0, connected: 0, opening: 0, waiting: 0 };
  return { numbers, connected, opening, waiting };
}

/** What belongs to a shard beside its row. */
export type ShardSurroundings = {
  readonly companies: ShardCompanies | undefined;
  readonly workers: readonly WorkerRow[];
  /** The outer id of the company that a wished split begins with, if there is one. */
  readonly splitCompanyId: string | null;
};

export function shardAnswer(row: ShardRow, around: ShardSurroundings): Shard {
  const { owner, pinnedTo, splitAt } = row;
  const host = orNull(around.workers.find(({ workerId }) => workerId === owner)?.host);
  return {
    id: row.shardId,
    isLive: row.isLive,
    owner: owner === null ? null : { workerId: owner, host },
    ownedSince: owner === null ? null : iso(row.claimedAt),
    epoch: row.epoch,
    expiresAt: iso(row.expiresAt),
    weight: row.weight,
    moves: row.moves,
    range: {
      lo: row.lo,
      hi: row.hi,
      firstCompanyId: around.companies?.firstCompanyId ?? null,
      lastCompanyId: around.companies?.lastCompanyId ?? null,
      companies: around.companies?.companies ?? 0,
    },
    numbers: row.numbers,
    connected: row.connected,
    pin:
      pinnedTo === null ? null : { host: pinnedTo, isBinding: isBinding(pinnedTo, around.workers) },
    isPaused: row.paused,
    pending: {
      split: splitAt === null ? null : { at: splitAt, companyId: around.splitCompanyId },
      merge: row.mergeNext,
    },
  };
}

/** A pin counts while a live worker of its host takes shards. */
export function isBinding(
  host: string,
  workers: readonly Pick<WorkerRow, "host" | "isLive" | "draining" | "drainAsked">[],
): boolean {
  return workers.some((row) => row.host === host && row.isLive && !row.draining && !row.drainAsked);
}

export function moveAnswer(row: ShardMoveRow): ShardMove {
  const { shardId, epoch, how, workerId, previousWorkerId, at } = row;
  return { shardId, epoch, how, workerId, previousWorkerId, at: at.toISOString() };
}

export function metricsAnswer(row: MetricsRow, workers: readonly WorkerRow[], now: Date): Metrics {
  const ratio = ratioOf(row.qrLinks, row.codeLinks);
  return {
    success: true,
    totalCompanies: row.totalCompanies,
    connectedSessions: row.connectedSessions,
    pendingPairingCodes: row.pendingPairingCodes,
    blockedCompanies: row.blockedCompanies,
    averageReconnectTime: `${Math.round((row.averageReconnectMs ?? 0) / 1_000)}s`,
    qrToParingRatio: ratio,
    qrToPairingRatio: ratio,
    asOf: now.toISOString(),
    numbers: row.totalNumbers,
    numbersByStatus: {
      connected: row.connectedSessions,
      connecting: row.connecting,
      disconnected: row.disconnected,
      error: row.error,
      blocked: row.blocked,
    },
    ownerlessNumbers: row.ownerlessNumbers,
    ownerlessShards: row.ownerlessShards,
    pausedShards: row.pausedShards,
    opening: openingOf(
      workers.filter(({ isLive }) => isLive),
      row.wantedSessions,
    ),
  };
}

/** `30:70`: so many percent by QR, the rest by code; `0:0` when there are none. */
export function ratioOf(byQr: number, byCode: number): string {
  const total = byQr + byCode;
  if (total === 0) return "0:0";
  const percent = Math.round((100 * byQr) / total);
  return `${percent}:${100 - percent}`;
}

type Progress = Pick<WorkerRow, "connected" | "opening" | "waiting">;

/**
 * How far the workers are with opening: percent of what is wanted, whether or not a worker has it. Nothing to
 * open is 100 percent.
 */
export function openingOf(workers: readonly Progress[], wanted: number): Metrics["opening"] {
  const sum = (pick: (row: Progress) => number): number =>
    workers.reduce((total, row) => total + pick(row), 0);
  const connected = sum((row) => row.connected);
  const opening = sum((row) => row.opening);
  const waiting = sum((row) => row.waiting);
  const total = Math.max(wanted, connected + opening + waiting);
  const percent = total === 0 ? 100 : Math.floor((100 * connected) / total);
  return { connected, opening, waiting, wanted, percent };
}

export function sessionAnswer(row: SessionRow): Session {
  const { status, reason, since, until, nextAction } = statusOf(row, row);
  return {
    companyId: row.companyId,
    companyName: row.companyName,
    numberId: numberIdOf(row),
    name: row.name,
    phone: row.phone,
    provider: row.provider,
    isPrimary: row.isPrimary,
    status,
    reason,
    since: since.toISOString(),
    until: iso(until),
    nextAction,
    score: healthScore(row.reconnectAttempts, status === "connected"),
    reconnectAttempts: row.reconnectAttempts,
    lastSeenAt: iso(row.lastSeenAt),
    lastReconnectMs: row.lastReconnectMs,
    lastReconnectAt: iso(row.lastReconnectAt),
    shardId: row.shardId,
  };
}

/** Stored as '' by a worker that does not say. */
function orNull(text: string | undefined): string | null {
  return text === undefined || text === "" ? null : text;
}

function iso(date: Date | null): string | null {
  return date === null ? null : date.toISOString();
}
