/** The kinds of messages: what each says, in our words. */
import type { MessageContent, MessageType } from "../message.ts";
import { errorsOf } from "./facts.ts";
import {
  type Json,
  isObject,
  jsonText,
  keptOf,
  listOf,
  numberOf,
  objectOf,
  textOf,
} from "./json.ts";
import { phoneText } from "./people.ts";
import type { MetaMedia } from "./types.ts";

export type Said = {
  type: MessageType;
  /** The text, the caption, or the id of what was selected. */
  text: string | null;
  content?: MessageContent;
  media?: MetaMedia | null;
};

/** What is not understood is kept as it came, up to this size. */
const ORIGINAL_LENGTH = 16_384;
const PHONE = /^[1-9][0-9]{5,14}$/;

const FILES: Readonly<Record<string, MessageType>> = {
  image: "image",
  video: "video",
  document: "document",
  audio: "audio",
  sticker: "sticker",
};

/** The kinds that a message without `type` is recognised by. */
const BODIES = [
  "text",
  ...Object.keys(FILES),
  "location",
  "contacts",
  "interactive",
  "button",
  "order",
  "reaction",
  "edit",
  "revoke",
  "system",
];

/** The `type` of a message; one that lacks it has the type of the body it has. */
export function kindOf(message: Json): string {
  return textOf(message["type"]) ?? BODIES.find((body) => message[body] !== undefined) ?? "";
}

export function saidOf(message: Json): Said {
  const kind = kindOf(message);
  const said = understood(kind, message);
  const errors = errorsOf(message["errors"]);
  const context = objectOf(message["context"]);
  const isForwarded = context["forwarded"] === true || context["frequently_forwarded"] === true;
  const product = productOf(context["referred_product"]);
  return {
    ...said,
    content: {
      ...said.content,
      ...(isForwarded ? { isForwarded } : {}),
      ...(product ? { product } : {}),
      ...referralOf(message["referral"]),
      ...(errors.length > 0 ? { errors } : {}),
    },
  };
}

function understood(kind: string, message: Json): Said {
  const body = objectOf(message[kind]);
  const file = Object.hasOwn(FILES, kind) ? FILES[kind] : undefined;
  if (file) return fileOf(file, body);
  switch (kind) {
    case "text":
      return { type: "text", text: textOf(body["body"]) };
    case "location":
      return locationOf(body);
    case "contacts":
      return cardsOf(message["contacts"]);
    case "interactive":
      return interactiveOf(message, body);
    case "button": {
      const id = textOf(body["payload"]);
      const title = textOf(body["text"]) ?? id ?? "";
      return { type: "button_reply", text: id, content: { selection: { id: id ?? "", title } } };
    }
    case "order":
      return orderOf(body);
    case "system":
      return systemOf(body);
    case "request_welcome":
      return { type: "welcome", text: null };
    case "unknown":
      return { type: "unknown", text: null };
    default:
      return { type: "unsupported", text: null, content: originalOf(message) };
  }
}

function originalOf(message: Json): MessageContent {
  const { value, text } = keptOf(message);
  return text !== undefined && text.length <= ORIGINAL_LENGTH ? { original: objectOf(value) } : {};
}

function fileOf(type: MessageType, body: Json): Said {
  const id = textOf(body["id"]);
  const url = textOf(body["url"]) ?? textOf(body["link"]);
  const isVoice = type === "audio" && body["voice"] === true;
  const media: MetaMedia = {
    mimeType: textOf(body["mime_type"]) ?? "application/octet-stream",
    bytes: numberOf(body["file_size"]) ?? null,
    sha256: textOf(body["sha256"]),
    fileName: textOf(body["filename"]),
    ...(body["animated"] === true ? { isAnimated: true } : {}),
    source: JSON.stringify({ id, ...(url === null ? {} : { url }) }),
  };
  return {
    type: isVoice ? "voice" : type,
    text: textOf(body["caption"]),
    media: id === null && url === null ? null : media,
  };
}

function locationOf(body: Json): Said {
  const [latitude, longitude] = [numberOf(body["latitude"]), numberOf(body["longitude"])];
  const [written, writtenToo] = [textOf(body["latitude"]), textOf(body["longitude"])];
  const [name, address] = [textOf(body["name"]), textOf(body["address"])];
  const isPlace =
    latitude !== undefined &&
    longitude !== undefined &&
    Math.abs(latitude) <= 90 &&
    Math.abs(longitude) <= 180;
  return {
    type: "location",
    text: written === null || writtenToo === null ? null : `${written},${writtenToo}`,
    content: isPlace
      ? {
          location: {
            latitude,
            longitude,
            ...(name === null ? {} : { name }),
            ...(address === null ? {} : { address }),
          },
        }
      : originalOf(body),
  };
}

function cardsOf(cards: unknown): Said {
  const contacts = listOf(cards).map((one) => {
    const card = objectOf(one);
    const vcard = textOf(card["vcard"]);
    const named = {
      name: textOf(objectOf(card["name"])["formatted_name"]) ?? "",
      phones: listOf(card["phones"]).flatMap((two) => {
        const phone = objectOf(two);
        return textOf(phone["phone"]) ?? textOf(phone["wa_id"]) ?? [];
      }),
    };
    return vcard === null ? named : Object.assign(named, { vcard });
  });
  return { type: "contact", text: contacts[0]?.name || null, content: { contacts } };
}

function interactiveOf(message: Json, body: Json): Said {
  const kind = textOf(body["type"]) ?? "";
  const reply = objectOf(body[kind]);
  switch (kind) {
    case "button_reply":
    case "list_reply": {
      const id = textOf(reply["id"]);
      const title = textOf(reply["title"]) ?? id ?? "";
      return { type: kind, text: id, content: { selection: { id: id ?? "", title } } };
    }
    case "nfm_reply":
      return flowReplyOf(reply);
    case "call_permission_reply": {
      const response = textOf(reply["response"]);
      return {
        type: "call_permission",
        text: response,
        content: { callPermission: { response: response ?? "" } },
      };
    }
    default:
      return { type: "unsupported", text: null, content: originalOf(message) };
  }
}

function flowReplyOf(reply: Json): Said {
  const written = reply["response_json"];
  const text = textOf(written) ?? (isObject(written) ? (jsonText(written) ?? null) : null);
  const { value, text: responseText } = keptOf(responseOf(written));
  const response = objectOf(value);
  return {
    type: "flow_reply",
    text,
    content: {
      flowReply: {
        name: textOf(reply["name"]) ?? "",
        body: textOf(reply["body"]),
        token: textOf(response["flow_token"]),
        ...(isObject(value) && responseText !== undefined ? { response } : {}),
      },
    },
  };
}

function responseOf(written: unknown): Record<string, unknown> | undefined {
  if (isObject(written)) return { ...written };
  if (typeof written !== "string") return undefined;
  try {
    const parsed: unknown = JSON.parse(written);
    return isObject(parsed) ? { ...parsed } : undefined;
  } catch {
    return undefined;
  }
}

function orderOf(body: Json): Said {
  const catalogId = textOf(body["catalog_id"]);
  const items = listOf(body["product_items"]).map((one) => {
    const item = objectOf(one);
    return {
      productId: textOf(item["product_retailer_id"]) ?? "",
      quantity: textOf(item["quantity"]) ?? "",
      price: textOf(item["item_price"]) ?? "",
      currency: textOf(item["currency"]) ?? "",
    };
  });
  return {
    type: "order",
    text: catalogId,
    content: { order: { catalogId: catalogId ?? "", note: textOf(body["text"]), items } },
  };
}

/** A note of WhatsApp's. The phone that a person has from now on is `wa_id`, in older ones `new_wa_id`. */
function systemOf(body: Json): Said {
  const phone = phoneText(body["new_wa_id"]) ?? phoneText(body["wa_id"]);
  return {
    type: "system",
    text: textOf(body["body"]),
    content: {
      system: {
        kind: textOf(body["type"]) ?? "",
        phone: phone !== null && PHONE.test(phone) ? phone : null,
        userId: textOf(body["user_id"]),
      },
    },
  };
}

function productOf(value: unknown): { catalogId: string; productId: string } | undefined {
  if (!isObject(value)) return undefined;
  const [catalogId, productId] = [
    textOf(value["catalog_id"]),
    textOf(value["product_retailer_id"]),
  ];
  return { catalogId: catalogId ?? "", productId: productId ?? "" };
}

function referralOf(value: unknown): Pick<MessageContent, "referral"> {
  if (!isObject(value)) return {};
  return {
    referral: {
      url: textOf(value["source_url"]),
      id: textOf(value["source_id"]),
      kind: textOf(value["source_type"]),
      headline: textOf(value["headline"]),
      body: textOf(value["body"]),
      clickId: textOf(value["ctwa_clid"]),
    },
  };
}
