/** Flows over REST, and what a company's handler is asked and answers. */
import { Type, type Static } from "typebox";
import { MessageIdField, NumberIdField, Timestamp, nullable, oneOf } from "../events/fields.ts";
import { FLOW_ACTIONS } from "../flows/call.ts";
import { idPattern } from "../ids.ts";

const strict = { additionalProperties: false } as const;
const Values = Type.Record(Type.String(), Type.Unknown());

export const FLOW_FIGURES = {
  /** So long a former key goes on answering, unless said otherwise. */
  overlapHours: 168,
  mostOverlapHours: 720,
  /** Keys of a company that answer at a time: each request may be tried with all of them. */
  keys: 5,
  /** Days that a token counts which we have put into a flow. */
  tokenDays: 30,
  /** Meta gives up after 10 s. */
  handlerMs: 8_000,
  /** Bytes of an answer of a handler. */
  answerBytes: 1_048_576,
} as const;

/** The flow that is sent when none is named. */
export const DEFAULT_FLOW = "default";

/** What a handler is asked: a request on `ask.flow.<companyId>`, or a POST to the company's address. */
export const FlowRequest = Type.Object(
  {
    id: Type.String({ description: "of this request" }),
    companyId: Type.String(),
    action: oneOf(FLOW_ACTIONS),
    version: Type.String({ description: "of Meta's data API, e.g. 3.0" }),
    screen: nullable(Type.String({ description: "the screen it comes from; null at the start" })),
    data: Values,
    flowToken: nullable(Type.String()),
    sent: nullable(
      Type.Object(
        {
          numberId: NumberIdField,
          messageId: MessageIdField,
          flow: Type.String({ description: "the name it was sent by, or Meta's id" }),
          expiresAt: Timestamp,
        },
        {
          description:
            "what the token says, if it is one that we have made; null: the token is the sender's own, to be checked by you",
        },
      ),
    ),
  },
  { $id: "FlowRequest" },
);
export type FlowRequest = Static<typeof FlowRequest>;

/** What a handler answers. */
export const FlowReply = Type.Union(
  [
    Type.Object({ screen: Type.String({ minLength: 1 }), data: Type.Optional(Values) }),
    Type.Object(
      { invalidToken: Type.Literal(true), message: Type.Optional(Type.String()) },
      { description: "the button in the chat is disabled, and the message shown" },
    ),
  ],
  { $id: "FlowReply" },
);
export type FlowReply = Static<typeof FlowReply>;

export const FlowKeyIdField = Type.String({ pattern: idPattern("fky") });

export const FlowKey = Type.Object(
  {
    id: FlowKeyIdField,
    publicKey: Type.String({ description: "PEM" }),
    fingerprint: Type.String({ description: "SHA-256 of the public key, in hex" }),
    createdAt: Timestamp,
    retiresAt: nullable(
      Type.String({ format: "date-time", description: "null: it is the current one" }),
    ),
  },
  { $id: "FlowKey" },
);
export type FlowKey = Static<typeof FlowKey>;

/** `POST …/flow-keys/rotate` */
export const RotateFlowKey = Type.Object(
  {
    overlapHours: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: FLOW_FIGURES.mostOverlapHours,
        description: `how long the former key goes on answering, ${FLOW_FIGURES.overlapHours} unless said`,
      }),
    ),
  },
  strict,
);

export const FLOW_KEY_STATES = ["valid", "mismatch", "former", "foreign", "none"] as const;
export type FlowKeyState = (typeof FLOW_KEY_STATES)[number];

/** What Meta has for a number: `GET|POST …/numbers/:numberId/flow-key` */
export const NumberFlowKey = Type.Object(
  {
    success: Type.Literal(true),
    state: oneOf(
      FLOW_KEY_STATES,
      "valid: the current key; mismatch: the current key, whose signature Meta does not accept: upload it again; former: one that will cease to answer: upload the current one; foreign: a key that is not the company's; none",
    ),
    keyId: nullable(FlowKeyIdField),
    signatureStatus: nullable(Type.String({ description: "as Meta says it: VALID, MISMATCH" })),
  },
  { $id: "NumberFlowKey" },
);
export type NumberFlowKey = Static<typeof NumberFlowKey>;

/** `PUT …/flow-handler` */
export const SetFlowHandler = Type.Union([
  Type.Object({ kind: Type.Literal("nats") }, strict),
  Type.Object(
    {
      kind: Type.Literal("https"),
      url: Type.String({ maxLength: 2_048, pattern: "^https?://[^\\s\\p{Cc}\\p{Cs}]+$" }),
    },
    strict,
  ),
]);

export const FlowNameField = Type.String({ pattern: "^[a-z0-9][a-z0-9_-]{0,63}$" });
const flow = {
  flowId: Type.String({ pattern: "^[0-9]{1,32}$", description: "Meta's id of the flow" }),
  action: oneOf(
    ["navigate", "data_exchange"],
    "whether the first screen comes with the message or from the handler",
  ),
  screen: nullable(
    Type.String({ maxLength: 80, pattern: "^[A-Za-z_]+$", description: "the first, to navigate" }),
  ),
};
export const Flow = Type.Object({ name: FlowNameField, ...flow }, { $id: "Flow" });
export type Flow = Static<typeof Flow>;

/** `PUT …/flows/:name` */
export const SetFlow = Type.Object(
  {
    flowId: flow.flowId,
    action: Type.Optional(flow.action),
    screen: Type.Optional(flow.screen),
  },
  strict,
);
