/** The key for flows that Meta has for a number: given, and read back. */
import type { FlowKeyState } from "@manyline/contracts";
import { flowKeyFingerprint } from "@manyline/contracts/flows";
import type { FlowKeyRow } from "@manyline/db";
import type { FlowKeyOutcome, NumberRef } from "../provider.ts";
import { type Graph, GraphRefusal, GraphSilence } from "./graph.ts";
import type { MetaPlace, MetaStore } from "./store.ts";

/** `isUpload`: the company's current key is given first. */
export async function flowKeyOf(
  number: NumberRef,
  isUpload: boolean,
  graph: Graph,
  store: MetaStore,
): Promise<FlowKeyOutcome> {
  const keys = await store.flowKeys(number.fence);
  const current = keys.find(({ retiresAt }) => retiresAt === null);
  if (isUpload && !current) return { refused: "FLOW_KEY_NOT_FOUND" };
  const place = await store.load(number);
  if (!place) return { refused: "NOT_CONNECTED" };
  try {
    if (isUpload && current) await upload(graph, place, current.publicKey);
    const { pem, status } = await readFlowKey(graph, place);
    const { state, key } = judgeFlowKey(keys, pem, status);
    return {
      state,
      keyId: key?.flowKeyId ?? null,
      signatureStatus: status ?? null,
    };
  } catch (error) {
    if (error instanceof GraphSilence) return { refused: "META_REFUSED" };
    if (!(error instanceof GraphRefusal)) throw error;
    return { refused: "META_REFUSED", graphCode: error.code };
  }
}

/** Which of the company's keys Meta has; without one the key is somebody else's, or there is none. */
export function judgeFlowKey(
  keys: readonly FlowKeyRow[],
  pem: string | undefined,
  status: string | undefined,
): { state: FlowKeyState; key: FlowKeyRow | undefined } {
  const fingerprint = pem === undefined ? undefined : flowKeyFingerprint(pem);
  const key = keys.find((one) => one.fingerprint === fingerprint);
  if (pem === undefined) return { state: "none", key: undefined };
  if (!key) return { state: "foreign", key };
  if (key.retiresAt !== null) return { state: "former", key };
  return { state: status === "VALID" ? "valid" : "mismatch", key };
}

async function upload(graph: Graph, place: MetaPlace, pem: string) {
  const form = new URLSearchParams({ business_public_key: pem });
  await graph.call("POST", `${place.phoneNumberId}/whatsapp_business_encryption`, place, { form });
}

/** The public key that Meta has for a number, and what it says of it; undefined: it has none, or says nothing. */
export async function readFlowKey(
  graph: Graph,
  place: MetaPlace,
): Promise<{ pem: string | undefined; status: string | undefined }> {
  const answer = await graph.call(
    "GET",
    `${place.phoneNumberId}/whatsapp_business_encryption`,
    place,
  );
  // Meta's documents show it flat, its collection in a list.
  const inner = Object(Array.isArray(answer["data"]) ? answer["data"][0] : answer) as Record<
    string,
    unknown
  >;
  const { business_public_key: pem, business_public_key_signature_status: status } = inner;
  return {
    pem: typeof pem === "string" && pem !== "" ? pem : undefined,
    status: typeof status === "string" ? status : undefined,
  };
}
