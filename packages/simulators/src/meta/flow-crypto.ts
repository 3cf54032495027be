/**
 * How a phone and an endpoint of flows speak, from the phone's side. Written for itself, so that a mistake of an
 * endpoint is not made here as well.
 */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from "node:crypto";

const TAG = 16;

/** What a request was encrypted with; its answer comes under the same key. */
export type FlowSecret = { key: Buffer; iv: Buffer };

/** Throws when it is no public RSA key of 2048 bits. */
export function readFlowKey(pem: string): KeyObject {
  const key = createPublicKey(pem);
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (key.asymmetricKeyType !== "rsa" || bits !== 2_048)
    throw new TypeError("no RSA key of 2048 bits");
  return key;
}

export function encryptFlowRequest(
  pem: string,
  request: object,
): { secret: FlowSecret; body: object } {
  const secret = { key: randomBytes(16), iv: randomBytes(16) };
  const cipher = createCipheriv("aes-128-gcm", secret.key, secret.iv);
  const data = [cipher.update(JSON.stringify(request)), cipher.final(), cipher.getAuthTag()];
  const wrapped = publicEncrypt(
    { key: readFlowKey(pem), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" },
    secret.key,
  );
  return {
    secret,
    body: {
      encrypted_flow_data: Buffer.concat(data).toString("base64"),
      encrypted_aes_key: wrapped.toString("base64"),
      initial_vector: secret.iv.toString("base64"),
    },
  };
}

/** Throws when it was not encrypted with this key under the vector of which every bit is flipped. */
export function decryptFlowAnswer({ key, iv }: FlowSecret, text: string): unknown {
  const bytes = Buffer.from(text, "base64");
  const flipped = Buffer.from(iv.map((byte) => ~byte));
  const decipher = createDecipheriv("aes-128-gcm", key, flipped, { authTagLength: TAG });
  decipher.setAuthTag(bytes.subarray(-TAG));
  const plain = Buffer.concat([decipher.update(bytes.subarray(0, -TAG)), decipher.final()]);
  return JSON.parse(plain.toString());
}
