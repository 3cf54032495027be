/**
 * Commands: imperatives for the owner of a number, each a row in `commands`. The owner is poked over core
 * NATS and polls as well. A command past its deadline is dead and has no later effect.
 */
import { Type, type Static } from "typebox";

const Text = Type.Union([Type.String(), Type.Null()]);
/** A person by phone, LID or both (digits), or a group (`…@g.us`). */
const ChatAddress = Type.Object({ phone: Text, lid: Text, groupId: Text });
export type ChatAddress = Static<typeof ChatAddress>;

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
  /**
   * Ask WhatsApp whether phones (E.164 digits) have accounts. Result: `{ results: [{ phone, isOnWhatsapp, lid }] }`,
   * one for each phone asked, `lid` digits or null. Fails with NOT_CONNECTED.
   */
  check_phones: {
    args: Type.Object({ phones: Type.Array(Type.String()) }),
    deadlineMs: 10_000,
  },
  /** Ask Meta, step by step, whether the number is set up. Result: `{ checks }`. Fails with PROVIDER_NOT_SUPPORTED. */
  check_number: { args: Type.Object({}), deadlineMs: 10_000 },
  /**
   * Give Meta the company's current key for flows, for this number, and read it back. Result: `{ state, keyId,
   * signatureStatus }`. Fails with FLOW_KEY_NOT_FOUND, NOT_CONNECTED (no token or place) or META_REFUSED.
   */
  upload_flow_key: { args: Type.Object({}), deadlineMs: 10_000 },
  /** Ask Meta which key it has for this number. Result and failures as for `upload_flow_key`. */
  read_flow_key: { args: Type.Object({}), deadlineMs: 10_000 },
  /**
   * Bring a WPP number up. `recreate` gives it a new client under `subOrgId`, unless its session is another than
   * `replaces` already; else its client is used, or one is made: for `add` and for a stale row under `subOrgId`,
   * otherwise under the plain company id. Result: `{ session, apiKey, status, qrcode?, error? }`, the key masked;
   * session and key are null where there is no client yet. Fails with WPP_NOT_CONFIGURED, WPP_KEY_REUSED or
   * WPP_REFUSED; then nothing is stored.
   */
  open_wpp: {
    args: Type.Object({
      branch: Type.Enum(["reconnect", "add", "recreate"]),
      subOrgId: Type.String(),
      replaces: Text,
    }),
    deadlineMs: 10_000,
  },
  /** Tell the writers that their messages were read. Result: `{}`. Fails with NOT_CONNECTED. */
  mark_read: {
    args: Type.Object({
      chat: ChatAddress,
      messages: Type.Array(
        Type.Object({ providerMessageId: Type.String(), phone: Text, lid: Text }),
      ),
    }),
    deadlineMs: 10_000,
  },
  /**
   * Show in a chat that somebody types or records, or has stopped. `lastMessageId`: WhatsApp's id of the latest
   * message from there, which Meta wants to be named. Result: `{}`. Fails with NOT_CONNECTED.
   */
  show_typing: {
    args: Type.Object({
      chat: ChatAddress,
      state: Type.Enum(["typing", "recording", "paused"]),
      lastMessageId: Type.Optional(Type.String()),
    }),
    deadlineMs: 10_000,
  },
  /**
   * Fetch a file of an inbound message from WhatsApp into the media store. Result: `{}`; its row says `stored`.
   * Fails with MEDIA_NOT_FOUND (and its row says `gone`) or NOT_CONNECTED.
   */
  fetch_media: { args: Type.Object({ mediaId: Type.String() }), deadlineMs: 25_000 },
  /**
   * Its server has told of a change in what the number may do (Meta: quality, limits, how fast): ask what holds now.
   * Written by webhook-ingest together with the event. Result: `{}` at once; a number that is not open asks when it is.
   */
  observed: { args: Type.Object({}), deadlineMs: 3_600_000 },
  /** Log out at WhatsApp and erase the credentials; a live attempt is cancelled. Result: `{ wasLinked, told }`; told: WhatsApp has confirmed. */
  unlink: { args: Type.Object({}), deadlineMs: 25_000 },
} as const;

export type CommandVerb = keyof typeof COMMANDS;
export type CommandArgs<Verb extends CommandVerb> = Static<(typeof COMMANDS)[Verb]["args"]>;
export const COMMAND_VERBS = Object.keys(COMMANDS) as CommandVerb[];

/** queued → claimed → done | failed; dead: nobody finished it before its deadline, or it was given up. */
export const COMMAND_STATES = ["queued", "claimed", "done", "failed", "dead"] as const;
export type CommandState = (typeof COMMAND_STATES)[number];
