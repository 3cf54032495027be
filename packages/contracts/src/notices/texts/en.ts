/** Voice: you. */
import type { NoticeTexts } from "./shape.ts";

export const en: NoticeTexts = {
  notices: {
    pairing_code: {
      subject: "Code to link WhatsApp of {company}, valid until {time}",
      body: [
        "Someone is linking {phone} to {company} and asked for a code:",
        "{code}",
        "It works until {time}. On the phone: WhatsApp > Linked devices > Link a device > Link with phone number. Type it without the dash.",
        "If nobody at {company} is doing this, ignore this message. Do not give the code to anyone, not even to us.",
      ],
      sms: "{code}: code to link WhatsApp of {company}, valid until {time}. Do not share it. Manyline",
    },
    switched_to_code: {
      subject: "{company}: nobody scanned the QR code, a code is waiting",
      body: [
        "Three QR codes for {company} went unused, so we asked WhatsApp for a code for {phone}. It is on the linking page and in a separate message, and works until {time}.",
        "Too late? Open the page and get a new one: {url}",
        "If {phone} is not the right number, choose another one there.",
      ],
    },
    phone_missing: {
      subject: "{company}: which phone number uses WhatsApp?",
      body: [
        "We want to connect WhatsApp of {company}, but no phone number is saved.",
        "Open this page and type the number, it takes a minute: {url}",
        "Until then {company} gets no WhatsApp messages through Manyline.",
      ],
      sms: "{company}: no WhatsApp number saved. Add it: {url}",
    },
    number_disconnected: {
      subject: "{company}: WhatsApp {phone} is disconnected",
      body: [
        "{phone} has been disconnected since {time}. Reason: {reason}.",
        "What we did: {tried}",
        "What you can do: {nextAction}",
        "{url}",
        "Messages you send meanwhile wait and go out once the number is back.",
      ],
      sms: "{company}: WhatsApp {phone} disconnected since {time}. {url}",
    },
    blocked: {
      subject: "{company}: linking WhatsApp is paused until {time}",
      body: [
        "{company} asked for several codes within an hour. To keep WhatsApp from distrusting {phone}, no more codes are given until {time}. Then it works again by itself.",
        "If it was not you, someone may be trying to link your number. Nobody can do that without your phone in hand, but you can have the link to the page renewed: {url}",
      ],
      sms: "{company}: too many WhatsApp codes, paused until {time}.",
    },
    passkey_required: {
      subject: "{company}: WhatsApp wants a passkey for {phone}",
      body: [
        "{phone} cannot be linked for now: WhatsApp checks this account with a passkey before it links a device, and that check cannot be passed here yet. The phone itself works as before.",
        "What you can do: link another number, or move this one to the official business connection, which needs no linking: {url}",
      ],
      sms: "{company}: WhatsApp wants a passkey for {phone}. {url}",
    },
    restricted: {
      subject: "{company}: WhatsApp has limited {phone}",
      body: [
        "WhatsApp does not let {phone} send everything. The limit ends: {until}.",
        "We hold the messages to be sent until then; incoming ones still arrive.",
        "What you can do: open WhatsApp on the phone and see what it says. Writing less often to people who have not written first helps.",
      ],
    },
    token_expiring: {
      subject: "{company}: the access token of {phone} ends on {time}",
      body: [
        "The access token with which {phone} sends through Meta ends: {time}. From then on nothing can be sent; incoming messages still arrive.",
        "What you can do: make a new token in Meta Business Suite and enter it in the number's settings.",
      ],
    },
    number_added: {
      subject: "{company}: number {phone} was added",
      body: [
        "{phone} was added to {company}. It is not connected yet.",
        "If nobody at {company} did this, remove the number and look who has a token to your account.",
      ],
    },
    endpoint_disabled: {
      subject: "{company}: we stopped calling {host}",
      body: [
        "Your webhook at {host} has not taken our calls since {time}, so we switched it off. The last answer: {error}.",
        "Nothing is lost: what was not delivered is kept. Once the address works again, switch the webhook on and have it replayed.",
      ],
    },
  },
  reasons: {
    logged_out: {
      reason: "it was unlinked on the phone",
      tried: "Nothing more: a removed device cannot reconnect.",
      next: "Link the number again on this page:",
    },
    connection_lost: {
      reason: "the connection to WhatsApp dropped",
      tried: "We keep reconnecting.",
      next: "Nothing for now. To see how it is going:",
    },
    replaced: {
      reason: "another program took over this connection",
      tried: "We stopped, so that the two do not fight over the number.",
      next: "Stop the other program, then reconnect here:",
    },
    token_expired: {
      reason: "Meta refuses the access token",
      tried: "We hold the messages to be sent; incoming ones still arrive.",
      next: "Enter a new token in the number's settings:",
    },
    passkey_required: {
      reason: "WhatsApp wants a passkey for this number",
      tried: "Both ways of linking end at this check.",
      next: "Link another number, or move this one to the official business connection:",
    },
    unknown: {
      reason: "WhatsApp gave no reason we know",
      tried: "We keep reconnecting and have kept the keys.",
      next: "If it lasts, send us this page:",
    },
    locked: {
      reason: "WhatsApp has locked this account",
      tried: "We stopped; trying again would make it worse.",
      next: "Open WhatsApp on the phone and see what it says. More here:",
    },
    ours: {
      reason: "the fault is on our side",
      tried: "We are working on it and have kept the keys.",
      next: "Nothing. To see how it is going:",
    },
  },
  unknownEnd: "not known",
  button: "Open the page",
  footer: "Manyline writes this to the addresses that are set for {company}.",
  several: {
    subject: {
      one: "WhatsApp: {n} notice",
      other: "WhatsApp: {n} notices",
    },
    intro: "Several things happened in a short time:",
    more: {
      one: "and {n} more",
      other: "and {n} more",
    },
  },
};
