import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import {
  ChatList,
  CheckAnswer,
  SetupAnswer,
  Command,
  Company,
  Contact,
  ContactList,
  Flow,
  FlowKey,
  Job,
  JobItem,
  Message,
  MessageList,
  Metrics,
  NumberAnswer,
  Notification,
  NumberFlowKey,
  PairingCodeAnswer,
  Problem,
  SendAnswer,
  SendMessage,
  Session,
  Shard,
  ShardMove,
  SignalAnswer,
  StatusAnswer,
  UploadAnswer,
  UsageAnswer,
  Webhook,
  WebhookDelivery,
  Worker,
} from "@manyline/contracts";
import type { App } from "./app.ts";
import { accessOf } from "./access.ts";

const DESCRIPTION = `Connects companies to WhatsApp, each with one or more numbers, each in isolation.

Send \`Authorization: Bearer <token>\`; never put a token into an address. A token sees its own company and nothing else: another company looks like one that does not exist. Errors are \`application/problem+json\` with a stable \`code\`, what to do (\`remedy\`), and whether repeating helps (\`retry\`). Times are UTC; count down to \`expiresAt\` from \`serverTime\`.`;

const COMPONENTS = [
  Company,
  NumberAnswer,
  StatusAnswer,
  PairingCodeAnswer,
  Problem,
  Metrics,
  Session,
  Worker,
  Shard,
  ShardMove,
  Job,
  JobItem,
  Command,
  SendMessage,
  Message,
  SendAnswer,
  SignalAnswer,
  MessageList,
  ChatList,
  Contact,
  ContactList,
  CheckAnswer,
  SetupAnswer,
  UsageAnswer,
  UploadAnswer,
  FlowKey,
  NumberFlowKey,
  Flow,
  Webhook,
  WebhookDelivery,
  Notification,
];

/** Shared answers become components; they must be known before the routes that name them. */
export async function registerOpenApi(app: App, serverUrl: string): Promise<void> {
  for (const schema of COMPONENTS) app.addSchema(asComponent(schema));
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Manyline",
        version: "1.0.0",
        description: DESCRIPTION,
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      servers: [{ url: serverUrl }],
      tags: [
        { name: "companies", description: "Companies, each a tenant of its own" },
        { name: "numbers", description: "A company's WhatsApp numbers" },
        {
          name: "sessions",
          description: "Linking and connection of a number: ?number=, else the primary one",
        },
        {
          name: "messages",
          description:
            "Sending and reading messages, people, files: ?number=, else the primary one",
        },
        { name: "flows", description: "Forms inside WhatsApp: keys, names, who fills the screens" },
        {
          name: "webhooks",
          description:
            "Events at your own address: signed, in order, tried again; see docs/webhooks.md",
        },
        { name: "operations", description: "The operator's view: workers, shards, jobs, figures" },
      ],
      components: {
        securitySchemes: {
          token: {
            type: "http",
            scheme: "bearer",
            description: "an operator's or company's token",
          },
          pairingPage: {
            type: "apiKey",
            in: "cookie",
            name: "manyline_pairing",
            description: "what a pairing link is exchanged for; one number, scope pair",
          },
        },
      },
    },
    refResolver: {
      buildLocalReference: (json, _baseUri, _fragment, index) =>
        typeof json["$id"] === "string" ? json["$id"] : `schema${index}`,
    },
    transform: ({ schema, url, route }) => {
      const method = Array.isArray(route.method) ? route.method[0] : route.method;
      const access = accessOf(method ?? "GET", route.url);
      return {
        schema: {
          ...schema,
          ...securityOf(access),
          operationId: operationId(method ?? "GET", url),
        },
        url,
      };
    },
  });
  await app.register(swaggerUi, {
    routePrefix: "/docs",
    staticCSP: false,
    uiConfig: { deepLinking: true, tryItOutEnabled: false, persistAuthorization: false },
    theme: { title: "Manyline API" },
  });
  app.get("/openapi.json", { schema: { hide: true } }, (_request, reply) =>
    reply.type("application/json; charset=utf-8").send(openApiText(app)),
  );
}

/** The document as it is served and committed: stable order, two spaces. */
export function openApiText(app: App): string {
  return `${JSON.stringify(app.swagger(), null, 2)}\n`;
}

function securityOf(access: ReturnType<typeof accessOf>): object {
  if (!access || access.kind === "public") return { security: [] };
  if (access.kind === "admin") {
    return { security: [{ token: [] }], description: "Needs the scope `admin`." };
  }
  return { security: [{ token: [] }, ...(access.cookie ? [{ pairingPage: [] }] : [])] };
}

/** `GET /api/whatsapp/sessions/:companyId/qr.png` → `getSessionsQrPng`. */
function operationId(method: string, url: string): string {
  const words = url
    .replace("/api/whatsapp", "")
    .split(/[/.-]/)
    .filter((word) => word !== "" && !word.startsWith(":"));
  const isOne = /:\w+$/.test(url);
  const name = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
  return `${method.toLowerCase()}${name}${isOne ? "ById" : ""}`;
}

/** A copy as plain JSON: nested `$id`s would make schemas of their own inside the document. */
function asComponent(schema: object): Record<string, unknown> {
  const copy: unknown = JSON.parse(
    JSON.stringify(schema, function (this: unknown, key: string, value: unknown) {
      return key === "$id" && this !== schema ? undefined : value;
    }),
  );
  return copy as Record<string, unknown>;
}
