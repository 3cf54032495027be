/** Ties leases, numbers and hand-over together: what the leases say is what the fleet does. */
import { randomBytes } from "node:crypto";
import type { Database } from "@manyline/db";
import type { Bus, Clock, Logger } from "@manyline/runtime";
import type { WorkerContext } from "../numbers/context.ts";
import { Fleet } from "./fleet.ts";
import { HandOver } from "./hand-over.ts";
import { LEASE, LeaseKeeper, type LeaseFigures } from "./lease-keeper.ts";
import { createLeaseStore, type WorkerIdentity } from "./lease-store.ts";

export type Ownership = { leases: LeaseKeeper; fleet: Fleet; handOver: HandOver };

/** What a number's owner asks of its worker's leases. */
export type OwnershipPorts = Pick<
  WorkerContext,
  "workerId" | "isQuiet" | "onFenced" | "askLease" | "askSends" | "onBlocked"
>;

export function createOwnership(parts: {
  db: Database;
  /** With one connection, for nothing but leases. */
  leaseDb: Database;
  bus: Bus;
  clock: Clock;
  logger: Logger;
  identity: WorkerIdentity;
  /** The rest of the context, completed with what this answers. */
  context: (ports: OwnershipPorts) => WorkerContext;
  figures?: LeaseFigures;
}): Ownership {
  const { db, leaseDb, bus, clock, logger, identity, figures = LEASE } = parts;
  const ports: OwnershipPorts = {
    workerId: () => leases.workerId,
    isQuiet: () => leases.isQuiet,
    onFenced: (numberNo) => {
      fleet.drop(numberNo);
      leases.ask();
    },
    askLease: () => leases.ask(),
    askSends: (numberNo) => fleet.askSends(numberNo),
    onBlocked: (companyNo, until) => fleet.blocked(companyNo, until),
  };
  const context = parts.context(ports);
  const leases = new LeaseKeeper({
    store: createLeaseStore(leaseDb, identity, figures.ttlMs),
    bus,
    clock,
    logger,
    newWorkerId: () => `${identity.host}-${randomBytes(4).toString("hex")}`,
    figures,
    report: () => fleet.report(),
    weights: () => fleet.weights(),
    events: {
      onClaimed: (shardId, epoch) => fleet.claimed(shardId, epoch),
      onLost: (shardId) => fleet.lost(shardId),
      onQuiet: (isQuiet) => {
        context.reports.quiet(isQuiet);
        if (!isQuiet) fleet.heard();
      },
      onSilence: () => fleet.dropAll(),
      onSurplus: (shardIds) => handOver.give(shardIds),
      onWish: (shardId, wish) => handOver.fulfil(shardId, wish),
      onDrainAsked: () => handOver.give([...leases.shards.keys()]),
      onDrainOver: () => handOver.keepRest(),
    },
  });
  const fleet = new Fleet(context, () => leases.shards);
  const handOver = new HandOver({
    db,
    bus,
    clock,
    logger,
    leases: () => leases,
    fleet: () => fleet,
  });

  return { leases, fleet, handOver };
}
