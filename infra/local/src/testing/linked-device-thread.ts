/** A thread that makes linked devices: key generation and signatures would hold up the thread that stores them. */
import { createPrivateKey, createPublicKey } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { signXEdDSA } from "@manyline/simulators";
import { Curve } from "@whiskeysockets/baileys";
import {
  adoptBody,
  linkedDevice,
  newDevice,
  type Adopted,
  type LinkedDevice,
} from "./linked-device.ts";

export type ThreadTask = { simulatorUrl: string; phones: string[]; preKeys: number };
/** What comes back, a part at a time; the thread ends after the last one. */
export type ThreadAnswer = LinkedDevice[];

const PKCS8_X25519 = Buffer.from("302e020100300506032b656e04220420", "hex");
const SPKI_PREFIX_BYTES = 12;

/** Devices per request to the simulator. */
const AT_ONCE = 100;

const { simulatorUrl, phones, preKeys } = workerData as ThreadTask;
// In this thread only: the library's own takes six times as long.
Curve.sign = (privateKey, message) =>
  signXEdDSA({ private: privateKey, public: publicOf(privateKey) }, message);
// Shared by all devices of the thread: one-time keys are used together with a device's identity key, which is
// its own, so nothing in the protocol notices; and they are the dearest part.
const pool = Array.from({ length: preKeys }, () => Curve.generateKeyPair());

for (let start = 0; start < phones.length; start += AT_ONCE) {
  const devices = phones.slice(start, start + AT_ONCE).map((phone) => newDevice(phone, pool));
  const adopted = await adopt(devices.map(adoptBody));
  const linked: ThreadAnswer = devices.map((device, index) => {
    const answer = adopted[index];
    if (answer === undefined) throw new Error("the simulator adopted fewer devices than given");
    return linkedDevice(device, answer);
  });
  parentPort?.postMessage(linked, []);
}

async function adopt(bodies: Record<string, unknown>[]): Promise<Adopted[]> {
  const response = await fetch(`${simulatorUrl}/adopt`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(bodies),
  });
  if (!response.ok) throw new Error(`adopt: ${response.status} ${await response.text()}`);
  return (await response.json()) as Adopted[];
}

function publicOf(privateKey: Uint8Array): Buffer {
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_X25519, privateKey]),
    format: "der",
    type: "pkcs8",
  });
  return createPublicKey(key).export({ format: "der", type: "spki" }).subarray(SPKI_PREFIX_BYTES);
}
