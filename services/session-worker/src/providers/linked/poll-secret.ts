/** With a poll's secret the votes on it can be read. */
import { createHmac } from "node:crypto";

/**
 * Of a poll we send: made from a secret of the device, so that it is the same at every repetition and needs no
 * place of its own.
 */
export function ownPollSecret(deviceSecret: Uint8Array, providerMessageId: string): Uint8Array {
  return createHmac("sha256", deviceSecret).update(`poll ${providerMessageId}`).digest();
}
