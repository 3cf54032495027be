/**
 * Commands: imperatives for the owner of a number, each a row in `commands`. The owner is poked over core
 * NATS and polls as well. A command past its deadline is dead and has no later effect.
 */
import { Type, type Static } from "typebox";

export const COMMANDS = {
  /** Start or join a QR attempt. Result: `{ attemptId }`. A linked number that is not connected reconnects. */
  pair_qr: { args: Type.Object({}), deadlineMs: 25_000 },
  /** Ask WhatsApp for a code for `phone` (E.164 digits). Result: `{ attemptId, issuedAt, expiresAt }`; the code is in the attempt's row. */
  pair_code: { args: Type.Object({ phone: Type.String() }), deadlineMs: 25_000 },
  /** There is no phone to pair with: tell it once (`company.phone_missing`). Result: `{ asked }`; false: it was told before, or there is a phone. */
  ask_phone: { args: Type.Object({}), deadlineMs: 25_000 },
  /** Close and open the connection with the stored credentials. Result: `{}` at once. */
  reconnect: { args: Type.Object({}), deadlineMs: 25_000 },
  /** End the live attempt, if any (`cancelled`). Result: `{}`. */
  cancel_pairing: { args: Type.Object({}), deadlineMs: 25_000 },
  /** Log out at WhatsApp and erase the credentials; a live attempt is cancelled. Result: `{ wasLinked, told }`; told: WhatsApp has confirmed. */
  unlink: { args: Type.Object({}), deadlineMs: 25_000 },
} as const;

export type CommandVerb = keyof typeof COMMANDS;
export type CommandArgs<Verb extends CommandVerb> = Static<(typeof COMMANDS)[Verb]["args"]>;
export const COMMAND_VERBS = Object.keys(COMMANDS) as CommandVerb[];

/** queued → claimed → done | failed; dead: nobody finished it before its deadline, or it was given up. */
export const COMMAND_STATES = ["queued", "claimed", "done", "failed", "dead"] as const;
export type CommandState = (typeof COMMAND_STATES)[number];
