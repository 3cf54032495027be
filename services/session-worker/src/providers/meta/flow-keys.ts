/** The key for flows that Meta has for a number: given, and read back. */
import type { FlowKeyState } from "@manyline/contracts";
import { flowKeyFingerprint } from "@manyline/contracts/flows";
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
    const { pem, status } = await read(graph, place);
    const fingerprint = pem === undefined ? undefined : flowKeyFingerprint(pem);
    const key = keys.find((one) => one.fingerprint === fingerprint);
    return {
      state: stateOf(pem, key, status),
      keyId: key?.flowKeyId ?? null,
      signatureStatus: status ?? null,
    };
  } catch (error) {
    if (error instanceof GraphSilence) return { refused: "META_REFUSED" };
    if (!(error instanceof GraphRefusal)) throw error;
    return { refused: "META_REFUSED", graphCode: error.code };
  }
}

function stateOf(
  pem: string | undefined,
  key: { retiresAt: Date | null } | undefined,
  status: string | undefined,
): FlowKeyState {
  if (pem === undefined) return "none";
  if (!key) return "foreign";
  if (key.retiresAt !== null) return "former";
  return status === "VALID" ? "valid" : "mismatch";
}

async function upload(graph: Graph, place: MetaPlace, pem: string) {
  const form = new URLSearchParams({ business_public_key: pem });
  await graph.call("POST", `${place.phoneNumberId}/whatsapp_business_encryption`, place, { form });
}

async function read(
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
