/** Everything that is neither message nor status: which event tells it, and about whom. */
import { errorsOf, timeOf } from "./facts.ts";
import { type Json, keptOf, listOf, nameOf, objectOf, textOf } from "./json.ts";
import { isNobody, type People, personOf, phoneText } from "./people.ts";
import type {
  MetaNoticeData,
  MetaNoticeInput,
  MetaNoticeType,
  MetaPerson,
  MetaRoute,
  MetaSameInput,
} from "./types.ts";

/** So many bytes of details and errors fit into an event beside the rest. */
const DETAILS_BYTES = 200 * 1024;

/** Where a notice comes from. */
export type Origin = {
  route: MetaRoute;
  field: string;
  /** `entry.time`: what tells two equal changes apart. */
  time: unknown;
  now: Date;
};

export type Notice = {
  type: MetaNoticeType;
  details: unknown;
  event?: string | null;
  person?: MetaPerson | null;
  at?: unknown;
  errors?: unknown;
};

export function noticeOf(origin: Origin, notice: Notice): MetaNoticeInput {
  const { route, field, time, now } = origin;
  const { value, text } = keptOf(notice.details);
  const errors = errorsOf(notice.errors);
  const bytes = Buffer.byteLength(`${text}${JSON.stringify(errors)}`);
  const isTruncated = text === undefined || bytes > DETAILS_BYTES;
  const details = objectOf(value);
  const data: MetaNoticeData = {
    provider: "meta",
    field: nameOf(field) ?? "",
    event: nameOf(notice.event === undefined ? eventOf(details) : notice.event),
    accountId: nameOf(route.wabaId),
    phoneNumberId: nameOf(route.phoneNumberId),
    displayPhone: nameOf(route.displayPhone),
    at: timeOf(notice.at ?? time, now).toISOString(),
    ...(errors.length > 0 ? { errors } : {}),
    details: isTruncated ? null : value,
    ...(isTruncated ? { isTruncated } : {}),
    ...(notice.type.startsWith("template.") ? { template: templateOf(details) } : {}),
  };
  const { wabaId, phoneNumberId } = route;
  const told = [notice.type, wabaId, phoneNumberId, field, textOf(time), data.event];
  return {
    kind: "notice",
    event: notice.type,
    key: `${JSON.stringify(told)}${text ?? ""}`,
    person: notice.person && !isNobody(notice.person) ? notice.person : null,
    data,
  };
}

export function eventOf(value: Json): string | null {
  return textOf(value["event"]) ?? textOf(value["decision"]);
}

function templateOf(value: Json): NonNullable<MetaNoticeData["template"]> {
  return {
    id: nameOf(value["message_template_id"]),
    name: nameOf(value["message_template_name"]),
    language: nameOf(value["message_template_language"]),
  };
}

const TYPES: Readonly<Record<string, MetaNoticeType>> = {
  account_update: "account.changed",
  account_review_update: "account.reviewed",
  account_alerts: "account.alerted",
  business_capability_update: "account.limit_changed",
  flows: "account.flow_changed",
  message_template_status_update: "template.status_changed",
  template_status_update: "template.status_changed",
  message_template_quality_update: "template.quality_changed",
  message_template_components_update: "template.components_changed",
  template_category_update: "template.category_changed",
  phone_number_name_update: "number.name_reviewed",
  security: "number.security_changed",
  group_lifecycle_update: "number.group_changed",
  group_participants_update: "number.group_changed",
  group_settings_update: "number.group_changed",
  group_status_update: "number.group_changed",
};

const LIMIT_EVENTS = new Set(["UPGRADE", "DOWNGRADE", "ONBOARDING", "THROUGHPUT_UPGRADE"]);

/** The event of a field that is told as a whole. */
function typeOf({ field, route }: Origin, value: Json): MetaNoticeType {
  if (field === "phone_number_quality_update") {
    const isLimit = LIMIT_EVENTS.has(eventOf(value) ?? "");
    return isLimit ? "number.limit_changed" : "number.quality_changed";
  }
  const type = Object.hasOwn(TYPES, field) ? TYPES[field] : undefined;
  if (type) return type;
  const isOfNumber = route.phoneNumberId !== null || route.displayPhone !== null;
  return isOfNumber ? "number.notified" : "account.notified";
}

/** The lists that are told one by one: each element is a piece of news of its own. */
const LISTS: Readonly<Record<string, readonly string[]>> = {
  user_preferences: ["user_preferences"],
  user_id_update: ["user_id_update"],
  smb_app_state_sync: ["state_sync"],
  calls: ["calls"],
};

/** The notices of a change, never none, and the people that turn out to be one. */
export function noticesOf(
  origin: Origin,
  value: Json,
  people: People,
): (MetaNoticeInput | MetaSameInput)[] {
  const names = Object.hasOwn(LISTS, origin.field) ? (LISTS[origin.field] ?? []) : [];
  const told = names.flatMap((name) =>
    listOf(value[name]).flatMap((one) => elementOf(origin, one, people)),
  );
  const errors = value["errors"];
  if (told.length > 0 && errorsOf(errors).length === 0) return told;
  return [noticeOf(origin, { type: typeOf(origin, value), details: value, errors }), ...told];
}

/** One element of a list that is told one by one. */
export function elementOf(
  origin: Origin,
  element: unknown,
  people: People,
): (MetaNoticeInput | MetaSameInput)[] {
  const one = objectOf(element);
  const details = element;
  switch (origin.field) {
    case "user_preferences": {
      const person = people.person(one["wa_id"], one["user_id"]);
      const event = textOf(one["value"]);
      const type = "contact.preference_changed";
      return [noticeOf(origin, { type, details, event, person, at: one["timestamp"] })];
    }
    case "user_id_update": {
      const ids = objectOf(one["user_id"]);
      const was = personOf({ userId: textOf(ids["previous"]) });
      const is = personOf({ userId: textOf(ids["current"]), phone: phoneText(one["wa_id"]) });
      const isKnown = !isNobody(was) && !isNobody(is);
      const at = one["timestamp"];
      return [
        ...(isKnown ? [{ kind: "same_person" as const, was, is }] : []),
        noticeOf(origin, { type: "contact.changed", details, event: origin.field, person: is, at }),
      ];
    }
    case "smb_app_state_sync": {
      // The name is the owner's word for the person, not their own.
      const person = personOf({ phone: phoneText(objectOf(one["contact"])["phone_number"]) });
      const event = textOf(one["action"]);
      const at = objectOf(one["metadata"])["timestamp"];
      return [noticeOf(origin, { type: "contact.saved", details, event, person, at })];
    }
    default:
      return [callOf(origin, one, element, people)];
  }
}

function callOf(origin: Origin, call: Json, details: unknown, people: People): MetaNoticeInput {
  const isOurs = textOf(call["direction"]) === "BUSINESS_INITIATED";
  const event = textOf(call["event"]) ?? textOf(call["status"]);
  const isReceived = event === "connect" && !isOurs;
  const other = isOurs ? "to" : "from";
  const person = people.person(
    call[other] ?? call["recipient_id"],
    call[`${other}_user_id`] ?? call["recipient_user_id"],
  );
  const type = isReceived ? "call.received" : "call.changed";
  return noticeOf(origin, { type, details, event, person, at: call["timestamp"] });
}
