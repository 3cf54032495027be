/** Companies and numbers over REST. */
import { Type, type Static } from "typebox";
import {
  NumberIdField,
  PhoneField,
  ProviderField,
  ReasonField,
  StatusField,
  Timestamp,
  nullable,
  oneOf,
} from "../events/fields.ts";
import { COMPANY_ID_PATTERN } from "../ids.ts";
import { QUEUE_LENGTH } from "../message.ts";
import { DESIRED_STATES } from "../session.ts";

export const LANGUAGES = ["en", "ru", "es", "pt"] as const;
export type Language = (typeof LANGUAGES)[number];

/** A line of text: no control characters and no halves of characters, which Postgres and mail headers would choke on. */
const LINE = "^[^\\p{Cc}\\p{Cs}]*$";

/** Per-company settings; unknown keys are refused so that a typing mistake is seen. */
export const WhatsappConfig = Type.Object(
  {
    maxNumbersPerCompany: Type.Optional(Type.Integer({ minimum: 1, maximum: 500 })),
    maxQueuedMessages: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 100_000,
        description: `messages that may wait to be sent, ${QUEUE_LENGTH} unless said`,
      }),
    ),
    groupMessages: Type.Optional(
      Type.Boolean({ description: "tell what is written in groups; without it groups are silent" }),
    ),
    smsNotifications: Type.Optional(Type.Boolean()),
    smsProvider: Type.Optional(Type.String({ maxLength: 40, pattern: LINE })),
    returnUrl: Type.Optional(
      Type.String({ maxLength: 500, pattern: "^https?://[^\\s\\p{Cc}\\p{Cs}]+$" }),
    ),
  },
  { additionalProperties: false },
);
export type WhatsappConfig = Static<typeof WhatsappConfig>;

const Name = Type.String({ minLength: 1, maxLength: 200, pattern: LINE });
const Country = Type.String({ pattern: "^[A-Z]{2}$", description: "ISO 3166-1 alpha-2" });
const Email = Type.String({
  maxLength: 254,
  pattern: "^[^\\s@\\p{Cc}\\p{Cs}]+@[^\\s@\\p{Cc}\\p{Cs}]+$",
});
const RawPhone = Type.String({
  maxLength: 40,
  pattern: LINE,
  description: "any form; stored as E.164 digits",
});
const Timezone = Type.String({
  maxLength: 64,
  pattern: LINE,
  description: "IANA name, e.g. Europe/Moscow",
});

const changeable = {
  name: Type.Optional(Name),
  country: Type.Optional(nullable(Country)),
  phone: Type.Optional(nullable(RawPhone)),
  adminEmail: Type.Optional(nullable(Email)),
  notificationEmail: Type.Optional(nullable(Email)),
  timezone: Type.Optional(Timezone),
  language: Type.Optional(oneOf(LANGUAGES)),
  whatsappEnabled: Type.Optional(Type.Boolean()),
  whatsappConfig: Type.Optional(WhatsappConfig),
};
export const CreateCompany = Type.Object(
  { id: Type.String({ pattern: COMPANY_ID_PATTERN }), ...changeable, name: Name },
  { additionalProperties: false },
);
export type CreateCompany = Static<typeof CreateCompany>;
export const ChangeCompany = Type.Object(changeable, {
  additionalProperties: false,
  minProperties: 1,
});
export type ChangeCompany = Static<typeof ChangeCompany>;

export const Company = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    country: nullable(Type.String()),
    phone: nullable(PhoneField),
    adminEmail: nullable(Type.String()),
    notificationEmail: nullable(Type.String()),
    timezone: Type.String(),
    language: oneOf(LANGUAGES),
    whatsappEnabled: Type.Boolean(),
    whatsappConfig: WhatsappConfig,
    createdAt: Timestamp,
    updatedAt: Timestamp,
  },
  { $id: "Company" },
);
export type Company = Static<typeof Company>;

const MetaId = Type.String({ pattern: "^[0-9]{1,32}$" });
/** Where a number stands with Meta. The token goes in and never comes out. */
const metaFields = {
  wabaId: Type.Optional(
    Type.String({ ...MetaId, description: "of the WhatsApp Business Account; Meta numbers only" }),
  ),
  phoneNumberId: Type.Optional(
    Type.String({ ...MetaId, description: "Meta's id of the number; Meta numbers only" }),
  ),
  accessToken: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 4_096,
      pattern: "^[\\x21-\\x7e]+$",
      description: "what this number, and no other, sends with; Meta numbers only",
    }),
  ),
};

export const CreateNumber = Type.Object(
  {
    ...metaFields,
    provider: Type.Optional(ProviderField),
    phone: Type.Optional(nullable(RawPhone)),
    name: Type.Optional(nullable(Type.String({ maxLength: 200, pattern: LINE }))),
    isPrimary: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);
export type CreateNumber = Static<typeof CreateNumber>;
export const ChangeNumber = Type.Object(
  {
    ...metaFields,
    phone: Type.Optional(nullable(RawPhone)),
    name: Type.Optional(nullable(Type.String({ maxLength: 200, pattern: LINE }))),
    isPrimary: Type.Optional(Type.Literal(true)),
    desiredState: Type.Optional(oneOf(DESIRED_STATES)),
  },
  { additionalProperties: false, minProperties: 1 },
);
export type ChangeNumber = Static<typeof ChangeNumber>;

/** `Number` in the documents; the suffix keeps clear of the language's own name. */
export const NumberAnswer = Type.Object(
  {
    id: NumberIdField,
    companyId: Type.String(),
    provider: ProviderField,
    name: nullable(Type.String()),
    phone: nullable(PhoneField),
    isPrimary: Type.Boolean(),
    desiredState: oneOf(DESIRED_STATES),
    status: StatusField,
    reason: ReasonField,
    since: Timestamp,
    createdAt: Timestamp,
    meta: Type.Optional(
      Type.Object({
        wabaId: nullable(Type.String()),
        phoneNumberId: nullable(Type.String()),
        isConfirmed: Type.Boolean({
          description: "Meta has confirmed that the token sees the number there",
        }),
        accessToken: oneOf(["SET", "NULL"], "never the token itself"),
      }),
    ),
    wpp: Type.Optional(
      Type.Object({
        server: oneOf(
          ["wpp_platform", "wppconnect"],
          "where it is; the two can do different things",
        ),
        session: nullable(
          Type.String({
            description:
              "what the server calls the number's session; `client_system` is none: such a number needs force_recreate",
          }),
        ),
      }),
    ),
  },
  { $id: "Number" },
);
export type NumberAnswer = Static<typeof NumberAnswer>;
