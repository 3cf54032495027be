/**
 * Asking WhatsApp for a pairing code ourselves. Baileys' own requestPairingCode is fire-and-forget: it
 * answers with a code before the server has accepted one, and poisons the credentials on the way. Here the
 * code exists only after the server's answer, and the credentials change only then.
 */
import { randomBytes } from "node:crypto";
import type { ErrorCode, Phone } from "@manyline/contracts";
import {
  aesEncryptCTR,
  bytesToCrockford,
  Curve,
  derivePairingCodeKey,
  jidEncode,
  type BinaryNode,
  type KeyPair,
} from "@whiskeysockets/baileys";
import type { CodeAnswer } from "../provider.ts";

/** What WhatsApp shows and checks; anything but "Browser (OS)" of a known pair is refused. */
const PLATFORM_DISPLAY = "Chrome (Windows)";
/** Chrome, in WhatsApp's numbering of companion platforms. */
const PLATFORM_ID = "1";

export type AcceptedCode = { code: string; ref: Buffer; ephemeral: KeyPair; jid: string };

/** The answer of WhatsApp to a companion_hello. `query` rejects with the server's code in `error.data`. */
export async function sendCompanionHello(
  phone: Phone,
  noisePublic: Uint8Array,
  query: (node: BinaryNode, timeoutMs: number) => Promise<BinaryNode | undefined>,
  timeoutMs: number,
): Promise<AcceptedCode | Extract<CodeAnswer, { refused: ErrorCode }>> {
  const ephemeral = Curve.generateKeyPair();
  const code = bytesToCrockford(randomBytes(5));
  const jid = jidEncode(phone, "s.whatsapp.net");
  let answer: BinaryNode | undefined;
  try {
    answer = await query(await helloNode(code, ephemeral, jid, noisePublic), timeoutMs);
  } catch (error) {
    return refusal(error);
  }
  const ref = child(child(answer, "link_code_companion_reg"), "link_code_pairing_ref")?.content;
  if (!(ref instanceof Uint8Array) || ref.length === 0) {
    return { refused: "PAIRING_CODE_FAILED", detail: "WhatsApp's answer held no reference" };
  }
  return { code, ref: Buffer.from(ref), ephemeral, jid };
}

async function helloNode(
  code: string,
  ephemeral: KeyPair,
  jid: string,
  noisePublic: Uint8Array,
): Promise<BinaryNode> {
  const salt = randomBytes(32);
  const iv = randomBytes(16);
  const key = await derivePairingCodeKey(code, salt);
  const wrapped = Buffer.concat([salt, iv, aesEncryptCTR(ephemeral.public, key, iv)]);
  const field = (tag: string, content: Uint8Array | string): BinaryNode => ({
    tag,
    attrs: {},
    content: typeof content === "string" ? Buffer.from(content) : content,
  });
  return {
    tag: "iq",
    attrs: { to: "@s.whatsapp.net", type: "set", xmlns: "md" },
    content: [
      {
        tag: "link_code_companion_reg",
        attrs: { jid, stage: "companion_hello", should_show_push_notification: "true" },
        content: [
          field("link_code_pairing_wrapped_companion_ephemeral_pub", wrapped),
          field("companion_server_auth_key_pub", noisePublic),
          field("companion_platform_id", PLATFORM_ID),
          field("companion_platform_display", PLATFORM_DISPLAY),
          field("link_code_pairing_nonce", Buffer.from([0])),
        ],
      },
    ],
  };
}

/**
 * WhatsApp's refusals, as data. 400 is an unusual display name (ours is not) or a throttled phone, which
 * cannot be told apart; 452 says "use the QR code". Sources: docs/limits.md, "Linking".
 */
export const HELLO_REFUSALS: Readonly<Record<number, ErrorCode>> = {
  400: "WHATSAPP_REFUSED",
  403: "WHATSAPP_REFUSED",
  404: "PHONE_NOT_ON_WHATSAPP",
  429: "WHATSAPP_REFUSED",
  452: "WHATSAPP_REFUSED",
  500: "PAIRING_CODE_FAILED",
};

function refusal(error: unknown): Extract<CodeAnswer, { refused: ErrorCode }> {
  const data = error instanceof Error && "data" in error ? error.data : undefined;
  const known = typeof data === "number" ? HELLO_REFUSALS[data] : undefined;
  return {
    refused: known ?? "PAIRING_CODE_FAILED",
    detail: typeof data === "number" ? `WhatsApp answered ${data}` : "WhatsApp did not answer",
  };
}

/** The first child of this tag. */
export function child(node: BinaryNode | undefined, tag: string): BinaryNode | undefined {
  return Array.isArray(node?.content) ? node.content.find((one) => one.tag === tag) : undefined;
}
