/** A certificate that nobody signed but itself (X.509 v3 in DER, RFC 5280). */
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";

const DAY_MS = 86_400_000;
/** ecdsa-with-SHA256, id-at-commonName, id-ce-subjectAltName; encoded. */
const OIDS = { signature: "2a8648ce3d040302", name: "550403", names: "551d11" } as const;

/** For servers of tests: both PEM; whoever trusts `cert` trusts the server at this address, from yesterday until tomorrow. */
export function selfSigned(address: readonly [number, number, number, number]): {
  key: string;
  cert: string;
} {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = der(0x30, oid(OIDS.signature));
  const name = der(
    0x30,
    der(0x31, der(0x30, oid(OIDS.name), der(0x0c, Buffer.from("manyline test")))),
  );
  const names = der(0x30, der(0x87, Buffer.from(address)));
  const facts = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    name,
    der(0x30, time(Date.now() - DAY_MS), time(Date.now() + DAY_MS)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, der(0x30, der(0x30, oid(OIDS.names), der(0x04, names)))),
  );
  const signature = sign("sha256", facts, privateKey);
  const cert = der(0x30, facts, algorithm, der(0x03, Buffer.from([0]), signature));
  const lines = cert.toString("base64").replaceAll(/.{64}/g, "$&\n").trimEnd();
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
  };
}

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, "hex"));
}

function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/\D/g, "").slice(2, 14);
  return der(0x17, Buffer.from(`${digits}Z`));
}
