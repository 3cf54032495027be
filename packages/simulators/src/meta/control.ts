/** The simulator's own API, for tests and demos in other processes: JSON or a form in, JSON out. */
import type { Fault } from "./faults.ts";
import type { FlowRun } from "./flow-run.ts";
import type { OpenFlow } from "./flows.ts";
import type { MetaSimulator } from "./simulator.ts";
import type { AccessToken, BusinessNumber, Flow, Person, Template } from "./world.ts";

type Json = Record<string, unknown>;

/** Undefined: there is no such thing. Bodies are taken as they are: whoever calls this owns the simulator. */
export function answerControl(
  simulator: MetaSimulator,
  method: string,
  path: string,
  body: Json,
): object | undefined | Promise<object> {
  const { world, faults, deliveries, sending } = simulator;
  switch (`${method} ${path}`) {
    case "GET state":
      return {
        apps: [...world.apps.values()],
        accounts: [...world.wabas.values()].map(({ id, portfolioId, subscribedApps }) => ({
          id,
          portfolioId,
          subscribedApps: [...subscribedApps],
        })),
        numbers: [...world.numbers.values()],
        tokens: [...world.tokens.values()],
        people: [...world.people.values()],
        sent: sending.sent,
        read: sending.read,
        flows: [...world.flows.values()],
        runs: [...simulator.flows.runs.values()].map(viewOf),
        typing: sending.typing,
        deliveries: { taken: deliveries.taken, waiting: deliveries.waiting },
      };
    case "POST apps":
      return world.addApp(body);
    case "POST lines":
      return world.addLine(body);
    case "POST accounts":
      return { id: world.addWaba(body).id };
    case "POST numbers":
      return world.addNumber(body as Partial<BusinessNumber> & { wabaId: string });
    case "POST tokens":
      return world.addToken(body as Partial<AccessToken> & { wabas: string[] });
    case "POST people":
      return world.addPerson(body as Partial<Person> & { phone: string });
    case "POST templates":
      return world.addTemplate(body as Partial<Template> & { wabaId: string; name: string });
    case "POST flows":
      return world.addFlow(body as Partial<Flow> & { wabaId: string; endpointUrl: string });
    case "POST flows/open": {
      const { messageId } = body;
      const opening =
        typeof messageId === "string"
          ? simulator.flows.openSent(messageId)
          : simulator.flows.open(body as OpenFlow);
      return opening.then(viewOf);
    }
    case "POST flows/submit":
      return runOf(simulator, body).submit(dataOf(body)).then(viewOf);
    case "POST flows/back": {
      const { screen } = body;
      return runOf(simulator, body)
        .back(typeof screen === "string" ? screen : undefined)
        .then(viewOf);
    }
    case "POST flows/finish": {
      const run = runOf(simulator, body);
      run.finish(dataOf(body));
      return viewOf(run);
    }
    case "POST flows/ping":
      return simulator.flows.ping(String(body["phoneNumberId"]), String(body["flowId"]));
    case "POST revoke": {
      const token = world.tokens.get(String(body["token"]));
      if (token) token.isRevoked = true;
      return { revoked: token !== undefined };
    }
    case "POST faults":
      return { id: faults.add(body as unknown as Fault) };
    case "DELETE faults":
      faults.clear();
      return {};
    case "POST deliveries":
      Object.assign(deliveries.options, body);
      deliveries.resume();
      return deliveries.options;
    case "POST say": {
      const text = { type: "text", text: { body: body["text"] } };
      const message = (body["message"] ?? text) as { type: string };
      return { id: simulator.say(String(body["phoneNumberId"]), String(body["from"]), message) };
    }
    case "POST change": {
      const [number, field] = [String(body["phoneNumberId"]), String(body["field"])];
      simulator.change(number, field, (body["value"] ?? {}) as Json);
      return {};
    }
    default:
      return undefined;
  }
}

function runOf({ flows }: MetaSimulator, body: Json): FlowRun {
  const run = flows.runs.get(String(body["run"]));
  if (!run) throw new RangeError("there is no such run");
  return run;
}

function dataOf(body: Json): Json {
  const { data } = body;
  // A form has it as text.
  const value: unknown = typeof data === "string" ? JSON.parse(data || "{}") : data;
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** What the person sees of it, and what a test wants to know. */
function viewOf(run: FlowRun): object {
  const { id, messageId, state, screen, data, message, error, isAcknowledged, result } = run;
  const { exchanges } = run;
  return {
    run: id,
    messageId,
    state,
    screen,
    data,
    message,
    error,
    isAcknowledged,
    result,
    exchanges,
  };
}
