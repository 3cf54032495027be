import { randomBytes } from "node:crypto";
import { Curve, derivePairingCodeKey } from "@whiskeysockets/baileys";
import type { Account } from "./account.ts";
import type { Connection, Step } from "./connection.ts";
import { ctr, gcmDecrypt, hkdf, stanzaId } from "./crypto.ts";
import type { KeyPair } from "./crypto.ts";
import type { Device } from "./device.ts";
import { checkPhone, checkRoom, link } from "./linking.ts";
import { MAX_PRIMARY_HELLOS } from "./options.ts";
import { requestPasskey } from "./passkey.ts";
import { PhoneError } from "./phone-error.ts";
import { el, SERVER_JID, unixNow } from "./stanza.ts";
import type { Stanza } from "./stanza.ts";

const SALT = 32;
const CTR_IV = 16;
const GCM_IV = 12;
const KEY = 32;
const CODE_LENGTH = 8;

/** A `companion_hello` that the server accepted. Dies with its connection. */
export type CodeRequest = {
  account: Account;
  connection: Connection;
  ref: Buffer;
  /** salt, iv and the companion's ephemeral key, encrypted with the code */
  wrapped: Buffer;
  /** what the phone shows of the client, such as `Chrome (Windows)` */
  display: string;
  expiresAt: number;
  /** no code can be typed for it any more */
  isRetired: boolean;
  primaryHellos: number;
  wrongCodes: number;
  /** set between `primary_hello` and `companion_finish` */
  finish: Step<CompanionFinish> | undefined;
};

export type CompanionFinish = { bundle: Buffer; companionIdentity: Buffer };

export function isAlive(request: CodeRequest | undefined): boolean {
  return !!request && !request.isRetired && Date.now() < request.expiresAt;
}

/**
 * The person types the eight characters under Linked devices > Link with phone number. Dashes, blanks and
 * lower case do not matter.
 * @returns the linked device, when the link is finished
 * @throws {PhoneError} what the phone shows instead
 */
export async function enterCode(account: Account, typed: string): Promise<Device> {
  checkPhone(account);
  const request = account.server.codes.get(account.phone);
  if (!request) throw new PhoneError("no_request");
  if (!isAlive(request)) throw new PhoneError("code_expired");
  if (request.finish) throw new PhoneError("couldnt_link_try_again");
  checkRoom(account);
  const code = typed.replace(/[^0-9a-z]/gi, "").toUpperCase();
  if (code.length !== CODE_LENGTH) throw new PhoneError("wrong_code");
  request.finish = request.connection.step<CompanionFinish>();
  try {
    const answer = await exchange(request, code);
    if (account.options.finish === "result-then-silence") {
      request.isRetired = true;
      throw new PhoneError("couldnt_link_try_again");
    }
    const secrets = openBundle(request, answer);
    request.isRetired = true;
    return await complete(request, secrets);
  } finally {
    request.finish = undefined;
  }
}

/** Sends `primary_hello` and waits for the client's `companion_finish`. */
async function exchange(request: CodeRequest, code: string): Promise<Exchange> {
  const { finish } = request;
  if (!finish) throw new PhoneError("couldnt_link_try_again");
  finish.promise.catch(() => undefined); // may fail while the keys are derived; awaited below
  const { wrapped } = request;
  const salt = randomBytes(SALT);
  const [companionKey, primaryKey] = await Promise.all([
    derivePairingCodeKey(code, wrapped.subarray(0, SALT)),
    derivePairingCodeKey(code, salt),
  ]);
  const iv = wrapped.subarray(SALT, SALT + CTR_IV);
  const companionEphemeral = ctr(companionKey, iv, wrapped.subarray(SALT + CTR_IV));
  const ephemeral = Curve.generateKeyPair();
  const ourIv = randomBytes(CTR_IV);
  const ours = Buffer.concat([salt, ourIv, ctr(primaryKey, ourIv, ephemeral.public)]);
  if (++request.primaryHellos >= MAX_PRIMARY_HELLOS) request.isRetired = true;
  request.connection.send(
    codeNotification({ stage: "primary_hello" }, [
      el("link_code_pairing_wrapped_primary_ephemeral_pub", {}, ours),
      el("primary_identity_pub", {}, request.account.primary.keys.identityPublic),
      el("link_code_pairing_ref", {}, request.ref),
    ]),
  );
  return { ephemeral, companionEphemeral, ...(await finish.promise) };
}

type Exchange = CompanionFinish & { ephemeral: KeyPair; companionEphemeral: Buffer };

/**
 * Only now can a mistyped code be noticed: nothing before this point is authenticated, so the wrong key first
 * shows when the bundle does not open.
 */
function openBundle(
  request: CodeRequest,
  answer: Exchange,
): { identity: Buffer; advSecret: Buffer } {
  const { bundle, companionIdentity } = answer;
  const { keys } = request.account.primary;
  let shared: Buffer;
  let plain: Buffer;
  try {
    shared = Curve.sharedKey(answer.ephemeral.private, answer.companionEphemeral);
    const info = "link_code_pairing_key_bundle_encryption_key";
    const key = hkdf(shared, KEY, bundle.subarray(0, SALT), info);
    const iv = bundle.subarray(SALT, SALT + GCM_IV);
    plain = gcmDecrypt(key, iv, bundle.subarray(SALT + GCM_IV));
  } catch {
    if (++request.wrongCodes >= request.account.options.codeMaxWrong) request.isRetired = true;
    throw new PhoneError("wrong_code");
  }
  const isOurs = plain.subarray(KEY, 2 * KEY).equals(keys.identityPublic);
  if (!plain.subarray(0, KEY).equals(companionIdentity) || !isOurs) {
    throw new PhoneError("couldnt_link_try_again");
  }
  const identityShared = Curve.sharedKey(keys.identity.private, companionIdentity);
  const secret = Buffer.concat([shared, identityShared, plain.subarray(2 * KEY, 3 * KEY)]);
  return { identity: companionIdentity, advSecret: hkdf(secret, KEY, undefined, "adv_secret") };
}

function complete(
  request: CodeRequest,
  secrets: { identity: Buffer; advSecret: Buffer },
): Promise<Device> {
  const { account, connection } = request;
  const { options } = account;
  if (options.passkey === "after-finish") {
    requestPasskey(connection);
    throw new PhoneError("passkey_required");
  }
  if (options.companionRefresh === "after-finish") {
    for (let i = 0; i < options.refreshTimes; i++) connection.refresh.send(options);
  }
  account.server.dropRefs(connection);
  return link(account, connection, secrets);
}

/** A notification of this type with a child of the given stage, or an empty one, as both occur. */
export function codeNotification(attrs?: Record<string, string>, content?: Stanza[]): Stanza {
  const children = attrs ? [el("link_code_companion_reg", attrs, content)] : undefined;
  const envelope = { from: SERVER_JID, type: "link_code_companion_reg", id: stanzaId() };
  return el("notification", { ...envelope, t: String(unixNow()) }, children);
}
