/** What became of a message that was sent. */
import type { Pricing } from "../message.ts";
import { errorCode, errorsOf, factsOf, timeOf } from "./facts.ts";
import { isObject, type Json, nameOf, textOf } from "./json.ts";
import type { People } from "./people.ts";
import { phoneText } from "./people.ts";
import type { MetaFacts, MetaPerson, MetaStatusInput } from "./types.ts";

const STATES = ["sent", "delivered", "read", "played", "failed"] as const;

export type ReadStatus = {
  facts: MetaFacts;
  /** Undefined: a word we have no state for, or it names no message. */
  input: MetaStatusInput | undefined;
};

/** Also of a call, which has its news in the same list. */
export function statusFacts(status: Json): MetaFacts {
  return factsOf("status", {
    id: textOf(status["id"]),
    timestamp: textOf(status["timestamp"]),
    status: textOf(status["status"]),
    recipientId: textOf(status["recipient_id"]),
    recipientUserId: textOf(status["recipient_user_id"]),
    errorCode: errorCode(status["errors"]),
  });
}

export function readStatus(status: Json, people: People, now: Date): ReadStatus {
  const facts = statusFacts(status);
  // Of a payment the same words mean the money, not the message.
  const isPayment = textOf(status["type"]) === "payment";
  const state = isPayment ? undefined : STATES.find((one) => one === facts.status);
  if (facts.id === null || state === undefined) return { facts, input: undefined };
  const [error] = errorsOf(status["errors"]);
  const failure = error ?? { code: "unknown", title: "" };
  return {
    facts,
    input: {
      kind: "status",
      providerMessageId: facts.id,
      callbackData: textOf(status["biz_opaque_callback_data"]),
      state,
      at: timeOf(status["timestamp"], now),
      recipient: recipientOf(status, people),
      error: state === "failed" ? failure : null,
      pricing: pricingOf(status["pricing"]),
    },
  };
}

/** In a group, the participant; the group itself is no person. */
function recipientOf(status: Json, people: People): MetaPerson {
  const participant = status["recipient_participant_id"];
  const participantUser = status["recipient_participant_user_id"];
  if (participant !== undefined || participantUser !== undefined) {
    return people.person(participant, participantUser);
  }
  if (textOf(status["recipient_type"]) === "group") return {};
  return people.person(phoneText(status["recipient_id"]), status["recipient_user_id"]);
}

function pricingOf(value: unknown): Pricing | null {
  if (!isObject(value)) return null;
  return {
    isBillable: value["billable"] === true,
    model: nameOf(value["pricing_model"]),
    kind: nameOf(value["type"]),
    category: nameOf(value["category"]),
  };
}
