import { Curve, proto } from "@whiskeysockets/baileys";
import type { KeyPair } from "./crypto.ts";

const { Details } = proto.CertChain.NoiseCertificate;

/** What the server shows in a handshake, and the root key a client has to trust for it. */
export type ServerIdentity = {
  rootKey: KeyPair;
  staticKey: KeyPair;
  /** encoded `CertChain` */
  certificate: Uint8Array;
};

/**
 * Root signs an intermediate, the intermediate signs the leaf that carries the server's static Noise key.
 * Signed once at start: a connection then costs the server no signature (one takes 15 ms).
 */
export function createServerIdentity(rootKey: KeyPair = Curve.generateKeyPair()): ServerIdentity {
  const intermediateKey = Curve.generateKeyPair();
  const staticKey = Curve.generateKeyPair();
  // issuerSerial 0 is the root's serial, which clients insist on
  const intermediate = Details.encode({
    serial: 1,
    issuerSerial: 0,
    key: intermediateKey.public,
  }).finish();
  const leaf = Details.encode({ serial: 2, issuerSerial: 1, key: staticKey.public }).finish();
  const certificate = proto.CertChain.encode({
    intermediate: { details: intermediate, signature: Curve.sign(rootKey.private, intermediate) },
    leaf: { details: leaf, signature: Curve.sign(intermediateKey.private, leaf) },
  }).finish();
  return { rootKey, staticKey, certificate };
}
