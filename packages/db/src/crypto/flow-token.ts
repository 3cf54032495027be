/**
 * The token that goes out with a flow and comes back with every screen and with the reply: it says, to us alone, whose
 * it is and until when. Sealed with the company's key, it cannot be guessed, and is no token for another company.
 */
import { CryptoError } from "../errors.ts";
import type { SealContext, Sealer } from "./keyring.ts";

export type FlowTokenFacts = {
  numberId: string;
  /** The message that carries the flow: it knows the person. */
  messageId: string;
  /** The name it was sent by, or Meta's id of the flow. */
  flow: string;
  expiresAt: Date;
};

const PREFIX = "flt_";
const CONTEXT: SealContext = { numberNo: null, kind: "flow-token", key: "" };

export function sealFlowToken(sealer: Sealer, facts: FlowTokenFacts): string {
  const { numberId, messageId, flow, expiresAt } = facts;
  const plain = JSON.stringify([numberId, messageId, flow, Math.ceil(expiresAt.getTime() / 1_000)]);
  return PREFIX + sealer.seal(CONTEXT, Buffer.from(plain)).toString("base64url");
}

/** Whether it looks like one of ours; others may be in use, of whom we know nothing. */
export function isFlowToken(token: string): boolean {
  return token.startsWith(PREFIX);
}

/** Undefined: it is not one of this company, was changed, or has expired. */
export function openFlowToken(
  sealer: Sealer,
  token: string,
  now: Date,
): FlowTokenFacts | undefined {
  if (!isFlowToken(token)) return undefined;
  try {
    const plain = sealer.open(CONTEXT, Buffer.from(token.slice(PREFIX.length), "base64url"));
    const [numberId, messageId, flow, seconds] = JSON.parse(plain.toString()) as unknown[];
    const expiresAt = new Date(Number(seconds) * 1_000);
    if (!(expiresAt > now)) return undefined;
    return {
      numberId: String(numberId),
      messageId: String(messageId),
      flow: String(flow),
      expiresAt,
    };
  } catch (error) {
    if (error instanceof CryptoError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
