/** What the operator sees of the running system: workers, shards, figures, sessions of all companies, commands. */
import { Type, type Static } from "typebox";
import { COMMAND_STATES, COMMAND_VERBS } from "../commands.ts";
import {
  NumberIdField,
  PhoneField,
  ProviderField,
  ReasonField,
  StatusField,
  Timestamp,
  nullable,
  oneOf,
} from "../events/fields.ts";
import { idPattern } from "../ids.ts";
import { NEXT_ACTIONS } from "../session.ts";
import { ScoreField } from "./answers.ts";

const Count = Type.Integer({ minimum: 0 });
const count = (description: string) => Type.Integer({ minimum: 0, description });

/** A session worker as it last spoke. Its figures are those of `seenAt`; one that is gone has no numbers. */
export const Worker = Type.Object(
  {
    id: Type.String({
      description: "one life of a worker: a restart or a lost lease makes a new one",
    }),
    host: nullable(
      Type.String({ description: "what shards are pinned to: the pod's or machine's name" }),
    ),
    version: nullable(Type.String()),
    generation: Type.Integer({
      description: "grows with each roll-out; freed shards go to the newest first",
    }),
    capacity: Type.Number({ description: "its share of the weight, relative to the others" }),
    isLive: Type.Boolean({ description: "it renewed its leases within their life of 10 s" }),
    isDraining: Type.Boolean({ description: "it takes no shards and hands over its own" }),
    drainAsked: Type.Boolean({ description: "an operator asked for the drain; /resume ends it" }),
    startedAt: Timestamp,
    seenAt: Timestamp,
    shards: Count,
    weight: count("sum of its shards' weights"),
    numbers: count("numbers of its shards; 0, like those below, when it is not live"),
    connected: Count,
    opening: count("connections being opened at this moment"),
    waiting: count("connections that wait for their turn to be opened"),
  },
  { $id: "Worker" },
);
export type Worker = Static<typeof Worker>;

export const SHARD_MOVE_WAYS = ["claimed", "taken_over", "split", "merged"] as const;

/** A change of owner, or of the range. Kept 7 days. */
export const ShardMove = Type.Object(
  {
    shardId: Type.Integer(),
    epoch: Type.Integer(),
    how: oneOf(
      SHARD_MOVE_WAYS,
      "claimed: it was free; taken_over: its owner's lease had run out; split, merged: its range changed",
    ),
    workerId: nullable(Type.String()),
    previousWorkerId: nullable(Type.String()),
    at: Timestamp,
  },
  { $id: "ShardMove" },
);
export type ShardMove = Static<typeof ShardMove>;

const RangeEnd = nullable(Type.String({ description: "outer id; null: no company there yet" }));

/** A range of companies that one worker owns at a time. */
export const Shard = Type.Object(
  {
    id: Type.Integer(),
    isLive: Type.Boolean({ description: "somebody owns it by a lease that has not run out" }),
    owner: nullable(
      Type.Object(
        { workerId: Type.String(), host: nullable(Type.String()) },
        {
          description: "null: nobody; while isLive is false, the one whose lease ran out",
        },
      ),
    ),
    ownedSince: nullable(Timestamp),
    epoch: Type.Integer({ description: "the fencing number; grows with each change of owner" }),
    expiresAt: nullable(Timestamp),
    weight: Type.Number({
      description: "1 + numbers that should be connected, as its owner counts it",
    }),
    moves: count("changes of owner after the first one"),
    range: Type.Object({
      lo: Type.Integer({ description: "first place of the range" }),
      hi: Type.Integer({ description: "first place behind the range" }),
      firstCompanyId: RangeEnd,
      lastCompanyId: RangeEnd,
      companies: Count,
    }),
    numbers: Count,
    connected: Count,
    pin: nullable(
      Type.Object({
        host: Type.String(),
        isBinding: Type.Boolean({
          description: "a live worker of that host takes shards; else every worker may have it",
        }),
      }),
    ),
    isPaused: Type.Boolean({ description: "nobody owns it until it is resumed" }),
    pending: Type.Object(
      {
        split: nullable(
          Type.Object(
            { at: Type.Integer(), companyId: nullable(Type.String()) },
            {
              description: "the upper part that begins here becomes a shard of its own",
            },
          ),
        ),
        merge: Type.Boolean({ description: "it takes in the shard right above" }),
      },
      { description: "what its owner will do within seconds" },
    ),
  },
  { $id: "Shard" },
);
export type Shard = Static<typeof Shard>;

/** Figures of the whole system; the names of the first six are the seed's. */
export const Metrics = Type.Object(
  {
    success: Type.Literal(true),
    totalCompanies: Count,
    connectedSessions: Count,
    pendingPairingCodes: count("codes that can be typed at this moment"),
    blockedCompanies: count("companies in the pause after too many pairing codes"),
    averageReconnectTime: Type.String({
      pattern: "^\\d+s$",
      description:
        "from losing a connection to having it again, last 24 hours; 0s: none reconnected",
    }),
    qrToParingRatio: Type.String({
      description: "qrToPairingRatio under its first, misspelt name",
    }),
    qrToPairingRatio: Type.String({
      pattern: "^\\d+:\\d+$",
      description: "numbers linked by QR : by code, in percent; 0:0 when there are none",
    }),
    asOf: Timestamp,
    numbers: Count,
    numbersByStatus: Type.Object(
      { connected: Count, connecting: Count, disconnected: Count, error: Count, blocked: Count },
      { description: "each number once, by the status that a caller sees" },
    ),
    ownerlessNumbers: count("numbers of shards that nobody owns: disconnected/no_owner"),
    ownerlessShards: count("shards without a live lease, paused ones among them"),
    pausedShards: Count,
    opening: Type.Object(
      {
        connected: Count,
        opening: Count,
        waiting: count("wait for their turn: so many at a time are opened"),
        wanted: count("linked numbers that should be connected, with or without an owner"),
        percent: Type.Integer({
          minimum: 0,
          maximum: 100,
          description: "100 only when every number that should be connected is",
        }),
      },
      {
        description:
          "how far the workers are with opening connections; connected, opening and waiting are sums over live workers",
      },
    ),
  },
  { $id: "Metrics" },
);
export type Metrics = Static<typeof Metrics>;

/** One number among all companies' numbers. */
export const Session = Type.Object(
  {
    companyId: Type.String(),
    companyName: Type.String(),
    numberId: NumberIdField,
    name: nullable(Type.String()),
    phone: nullable(PhoneField),
    provider: ProviderField,
    isPrimary: Type.Boolean(),
    status: StatusField,
    reason: ReasonField,
    since: Timestamp,
    until: nullable(Timestamp),
    nextAction: oneOf(NEXT_ACTIONS),
    score: ScoreField,
    reconnectAttempts: Count,
    lastSeenAt: nullable(Timestamp),
    lastReconnectMs: nullable(count("how long the last reconnection took")),
    lastReconnectAt: nullable(Timestamp),
    shardId: Type.Integer(),
  },
  { $id: "Session" },
);
export type Session = Static<typeof Session>;

/** A command as the operator sees it. Its arguments may hold a phone number and are not shown. */
export const Command = Type.Object(
  {
    id: Type.String({ pattern: idPattern("cmd") }),
    companyId: nullable(Type.String()),
    numberId: nullable(NumberIdField),
    verb: oneOf(COMMAND_VERBS),
    state: oneOf(COMMAND_STATES),
    reason: nullable(
      Type.String({
        description:
          "why it is dead: deadline (nobody began it in time), attempts (claimed again and again without a result), or what its owner found; of a failed one the error's code",
      }),
    ),
    attempts: count("how often an owner claimed it"),
    deadlineAt: Timestamp,
    createdAt: Timestamp,
    replayOf: nullable(Type.String({ description: "the dead command that this one repeats" })),
  },
  { $id: "Command" },
);
export type Command = Static<typeof Command>;
