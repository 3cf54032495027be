/** A simulated Meta: the Graph API at the wire, and the webhooks that come of it. */
export { startMetaSimulator, MetaSimulator } from "./simulator.ts";
export type { MetaSimulatorOptions } from "./simulator.ts";
export { MetaWorld, SCOPES } from "./world.ts";
export type * from "./world.ts";
export type { Attempt, DeliveryOptions } from "./deliveries.ts";
export type { Fault, FaultEffect, FaultMatch } from "./faults.ts";
export type { SendingOptions, SentMessage } from "./sending.ts";
export { Flows } from "./flows.ts";
export type { FlowsOptions, OpenFlow } from "./flows.ts";
export { FlowRun } from "./flow-run.ts";
export type { FlowExchange, FlowResult, FlowState } from "./flow-run.ts";
export { LIVING_VERSIONS } from "./graph.ts";
export { metaJson, signatureOf } from "./signing.ts";
