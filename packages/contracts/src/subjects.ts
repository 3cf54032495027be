/** Every NATS subject that is not made from an event definition. Nobody types a subject elsewhere. */
import type { CompanyId, NumberId } from "./ids.ts";

/** The one durable stream: files, 48 h. */
export const EVENTS_STREAM = "EVENTS";
export const EVENTS_MAX_AGE_MS = 48 * 3_600_000;

/**
 * Core NATS: the shard has work (a command, a new number, a changed desired state). No payload; or `sendPayload`
 * when the work is nothing but messages of one number that wait to be sent.
 */
export function shardPoke(shardId: number): string {
  return `ctl.shard.${shardId}`;
}
export function sendPayload(numberNo: number): string {
  return `send ${numberNo}`;
}
/** The number whose messages wait; undefined: it is about something else. */
export function parseSendPayload(payload: string): number | undefined {
  const [, numberNo] = /^send ([1-9][0-9]{0,9})$/.exec(payload) ?? [];
  return numberNo === undefined ? undefined : Number(numberNo);
}
/** Likewise, when a server has told that the session of a number has changed, which its owner should look at now. */
export function lookPayload(numberNo: number): string {
  return `look ${numberNo}`;
}
/** The number that is to be looked at; undefined: it is about something else. */
export function parseLookPayload(payload: string): number | undefined {
  const [, numberNo] = /^look ([1-9][0-9]{0,9})$/.exec(payload) ?? [];
  return numberNo === undefined ? undefined : Number(numberNo);
}
/** Core NATS, for a worker: any shard. */
export const ANY_SHARD_POKE = "ctl.shard.*";

/** Core NATS: a lease was released, a worker came or drains; everybody looks at the leases now. */
export const LEASE_POKE = "ctl.lease";

/** Core NATS: a command's row has its result. */
export function commandDonePoke(commandId: string): string {
  return `ctl.done.${commandId}`;
}
export const ANY_COMMAND_DONE_POKE = "ctl.done.*";

/**
 * Core NATS, no stream, under its own permission: the pairing code in clear for subscribers who need it
 * (the seed's `pairing-code` event: `companyId`, `code`, `phoneNumber`).
 */
export function secretPairing(companyId: CompanyId, numberId: NumberId): string {
  return `secret.pairing.${companyId}.${numberId}`;
}

/** Core NATS, for the notifier: codes of all companies. */
export const ANY_SECRET_PAIRING = "secret.pairing.>";

/**
 * Core NATS, no stream, under its own permission: a screen of a flow is asked of the company's handler (`FlowRequest`,
 * answered with `FlowReply`). Handlers share the work in a queue group.
 */
export function askFlow(companyId: CompanyId): string {
  return `ask.flow.${companyId}`;
}
