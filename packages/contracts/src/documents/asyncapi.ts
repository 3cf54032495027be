/** asyncapi.yaml (AsyncAPI 3.0), made from the catalogue. */
import { EnvelopeSchema, dataSchemaId } from "../events/envelope.ts";
import { EVENTS } from "../events/catalogue.ts";
import { FlowReply, FlowRequest } from "../rest/flows.ts";
import { EVENTS_STREAM } from "../subjects.ts";

/** The document as a plain object, ready for a YAML or JSON writer. */
export function asyncapiDocument(): object {
  const channels: Record<string, object> = {};
  const operations: Record<string, object> = {};
  const messages: Record<string, object> = {};
  for (const definition of EVENTS) {
    const name = definition.type.replaceAll(/[._](\w)/g, (_all, letter: string) =>
      letter.toUpperCase(),
    );
    messages[name] = {
      name: definition.type,
      summary: definition.description,
      contentType: "application/cloudevents+json",
      payload: {
        ...EnvelopeSchema,
        properties: {
          ...EnvelopeSchema.properties,
          type: { const: definition.type },
          dataschema: { const: dataSchemaId(definition) },
          data: definition.data,
        },
      },
    };
    channels[name] = {
      address: `${definition.type}.{companyId}.{numberId}`,
      parameters: {
        companyId: { description: "the company's outer id" },
        numberId: { description: "num_…, or _ for a fact about the whole company" },
      },
      messages: { [name]: { $ref: `#/components/messages/${name}` } },
    };
    operations[`receive${name.slice(0, 1).toUpperCase()}${name.slice(1)}`] = {
      action: "receive",
      channel: { $ref: `#/channels/${name}` },
    };
  }
  messages["flowRequest"] = {
    name: "flow request",
    summary: "A screen of a flow is asked of the company's handler.",
    contentType: "application/json",
    payload: FlowRequest,
  };
  messages["flowReply"] = {
    name: "flow reply",
    summary: "The screen, or that the token counts no more; within 8 seconds.",
    contentType: "application/json",
    payload: FlowReply,
  };
  channels["flowRequest"] = {
    address: "ask.flow.{companyId}",
    description: "Core NATS: no stream keeps it.",
    parameters: { companyId: { description: "the company's outer id" } },
    messages: { flowRequest: { $ref: "#/components/messages/flowRequest" } },
  };
  channels["flowReply"] = {
    address: null,
    messages: { flowReply: { $ref: "#/components/messages/flowReply" } },
  };
  operations["answerFlow"] = {
    action: "receive",
    channel: { $ref: "#/channels/flowRequest" },
    reply: {
      address: { location: "$message.header#/reply" },
      channel: { $ref: "#/channels/flowReply" },
    },
  };
  // A plain copy: schema objects carry hidden marks that a YAML writer would stumble over.
  return JSON.parse(
    JSON.stringify({
      asyncapi: "3.0.0",
      info: {
        title: "Manyline events",
        version: "1.0.0",
        license: { name: "Apache-2.0" },
        description: `What happens to companies, numbers and their pairing, on NATS JetStream stream ${EVENTS_STREAM}.`,
      },
      defaultContentType: "application/cloudevents+json",
      channels,
      operations,
      components: { messages },
    }),
  ) as object;
}
