import { ManylineError } from "@manyline/contracts";
import { liveAttempt, readAttemptSecret, withCompany } from "@manyline/db";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Type } from "typebox";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { qrFormat } from "../domain/qr-format.ts";
import type { QrFormat } from "../domain/qr-format.ts";
import { qrPng, qrSvg } from "../domain/qr-image.ts";
import { findNumber } from "../numbers.ts";
import { watchNumber } from "../watch.ts";
import { CompanyParams, NumberQuery, problems } from "./schemas.ts";

const PATH = "/api/whatsapp/sessions/:companyId/qr";
const description =
  "The QR that is shown now. Starts nothing: without a live QR the answer is 404 NO_QR. Looking keeps the attempt alive.";

const QrAnswer = {
  type: "object",
  required: [
    "success",
    "companyId",
    "attemptId",
    "qr",
    "k",
    "max",
    "issuedAt",
    "expiresAt",
    "serverTime",
  ],
  properties: {
    success: { const: true },
    companyId: { type: "string" },
    attemptId: { type: "string" },
    qr: {
      type: "string",
      description:
        "the text to draw, error correction L; of a WPP number it may be the picture, a data URL",
    },
    k: { type: "integer", description: "which QR of the attempt, from 1" },
    max: { type: "integer" },
    issuedAt: { type: "string", format: "date-time" },
    expiresAt: { type: "string", format: "date-time" },
    serverTime: { type: "string", format: "date-time" },
  },
};
const image = (type: string): object => ({
  description: "the picture",
  content: { [type]: { schema: { type: "string", format: "binary" } } },
});

export function registerQr(app: App, deps: Deps): void {
  app.get(
    PATH,
    {
      schema: {
        tags: ["sessions"],
        summary: "The live QR as JSON, PNG or SVG",
        description,
        params: CompanyParams,
        querystring: Type.Object(
          {
            ...NumberQuery.properties,
            format: Type.Optional(
              Type.Enum(["json", "png", "svg"], { description: "wins over Accept" }),
            ),
          },
          { additionalProperties: false },
        ),
        response: {
          200: {
            description: "the QR",
            content: {
              "application/json": { schema: QrAnswer },
              "image/png": { schema: { type: "string", format: "binary" } },
              "image/svg+xml": { schema: { type: "string", format: "binary" } },
            },
          },
          ...problems,
        },
      },
    },
    (request, reply) => {
      const { format, number } = request.query;
      return sendQr(deps, request, reply, number, format ?? qrFormat(request.headers.accept));
    },
  );
  for (const format of ["png", "svg"] as const) {
    app.get(
      `${PATH}.${format}`,
      {
        schema: {
          tags: ["sessions"],
          summary: `The live QR as ${format.toUpperCase()}`,
          description,
          params: CompanyParams,
          querystring: NumberQuery,
          response: { 200: image(CONTENT_TYPES[format]), ...problems },
        },
      },
      (request, reply) => sendQr(deps, request, reply, request.query.number, format),
    );
  }
}

const CONTENT_TYPES = { png: "image/png", svg: "image/svg+xml" } as const;

async function sendQr(
  deps: Deps,
  request: FastifyRequest,
  reply: FastifyReply,
  wanted: string | undefined,
  format: QrFormat,
): Promise<FastifyReply> {
  const tenant = tenantOf(request);
  const { attempt, qr, expiresAt } = await withCompany(deps.appDb, tenant.companyNo, async (tx) => {
    const number = await findNumber(tx, tenant, principalOf(request), wanted);
    if (!number) throw new ManylineError("NO_QR");
    await watchNumber(tx, deps.clock, number);
    const live = await liveAttempt(tx, tenant.companyNo, number.numberNo);
    const secret =
      live && (await readAttemptSecret(tx, deps.keyring, tenant.companyNo, live.attemptId));
    if (!live || secret?.kind !== "qr") throw new ManylineError("NO_QR");
    return { attempt: live, qr: secret.value, expiresAt: secret.expiresAt };
  });
  reply.header("cache-control", "no-store").header("vary", "accept");
  if (format !== "json") {
    return reply.type(CONTENT_TYPES[format]).send(format === "png" ? qrPng(qr) : qrSvg(qr));
  }
  return reply.send({
    success: true,
    companyId: tenant.companyId,
    attemptId: attempt.attemptId,
    qr,
    k: attempt.k,
    max: attempt.max,
    issuedAt: (attempt.issuedAt ?? attempt.startedAt).toISOString(),
    expiresAt: expiresAt.toISOString(),
    serverTime: deps.clock.now().toISOString(),
  });
}
