/**
 * How Meta and an endpoint of Flows speak: a body under AES-128-GCM, whose key comes along under the endpoint's RSA
 * key. The answer goes back under the same key and the same initial vector with every bit flipped.
 */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  privateDecrypt,
} from "node:crypto";
import { promisify } from "node:util";

const CIPHER = "aes-128-gcm";
const KEY_BYTES = 16;
const IV_BYTES = 16;
const TAG_BYTES = 16;
const MODULUS_BITS = 2_048;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** What an answer is encrypted with. */
export type FlowSecret = { aesKey: Buffer; iv: Buffer };
export type OpenedFlow = FlowSecret & { plain: Buffer };

/** A request as Meta sends it. */
export type FlowBody = {
  encrypted_flow_data: string;
  encrypted_aes_key: string;
  initial_vector: string;
};

/** The body of a request; undefined when it is none. */
export function parseFlowBody(text: string): FlowBody | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const body = Object(value) as Record<string, unknown>;
  const { encrypted_flow_data, encrypted_aes_key, initial_vector } = body;
  return typeof encrypted_flow_data === "string" &&
    typeof encrypted_aes_key === "string" &&
    typeof initial_vector === "string"
    ? { encrypted_flow_data, encrypted_aes_key, initial_vector }
    : undefined;
}

/** Undefined: it was not encrypted for this key, or was changed since. Never throws. */
export function openFlow(body: FlowBody, privateKey: KeyObject): OpenedFlow | undefined {
  const [data, wrapped, iv] = [
    body.encrypted_flow_data,
    body.encrypted_aes_key,
    body.initial_vector,
  ].map(bytesOf);
  if (!data || !wrapped || iv?.length !== IV_BYTES || data.length < TAG_BYTES) return undefined;
  try {
    const aesKey = privateDecrypt({ key: privateKey, ...OAEP }, wrapped);
    if (aesKey.length !== KEY_BYTES) return undefined;
    return { aesKey, iv, plain: decrypt(aesKey, iv, data) };
  } catch {
    return undefined;
  }
}

/** The body of an answer: text/plain. */
export function sealFlowAnswer({ aesKey, iv }: FlowSecret, answer: object): string {
  return encrypt(aesKey, flipped(iv), Buffer.from(JSON.stringify(answer))).toString("base64");
}

export type FlowKeyPair = {
  /** SPKI, PEM: as Meta takes it. */
  publicKey: string;
  /** PKCS #8, DER. */
  privateKey: Buffer;
};

export async function newFlowKeyPair(): Promise<FlowKeyPair> {
  const pair = await promisify(generateKeyPair)("rsa", { modulusLength: MODULUS_BITS });
  return {
    publicKey: pair.publicKey.export({ type: "spki", format: "pem" }).toString(),
    privateKey: pair.privateKey.export({ type: "pkcs8", format: "der" }),
  };
}

export function flowPrivateKey(der: Buffer): KeyObject {
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" });
}

/** Undefined: it is no public RSA key of the length that Meta takes. */
export function flowPublicKey(pem: string): KeyObject | undefined {
  if (!pem.includes("-----BEGIN PUBLIC KEY-----")) return undefined;
  try {
    const key = createPublicKey(pem);
    const isUsable =
      key.asymmetricKeyType === "rsa" && key.asymmetricKeyDetails?.modulusLength === MODULUS_BITS;
    return isUsable ? key : undefined;
  } catch {
    return undefined;
  }
}

/** SHA-256 of the key itself, in hex: the same however its text is broken into lines. Undefined for what is no key. */
export function flowKeyFingerprint(pem: string): string | undefined {
  const der = flowPublicKey(pem)?.export({ type: "spki", format: "der" });
  return der && createHash("sha256").update(der).digest("hex");
}

const OAEP = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" } as const;

function bytesOf(text: string): Buffer | undefined {
  return BASE64.test(text) ? Buffer.from(text, "base64") : undefined;
}

function flipped(iv: Buffer): Buffer {
  return Buffer.from(iv.map((byte) => byte ^ 0xff));
}

/** Ciphertext and, behind it, its tag. */
function encrypt(key: Buffer, iv: Buffer, plain: Buffer): Buffer {
  const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES });
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Buffer, iv: Buffer, bytes: Buffer): Buffer {
  const end = bytes.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(bytes.subarray(end));
  return Buffer.concat([decipher.update(bytes.subarray(0, end)), decipher.final()]);
}
