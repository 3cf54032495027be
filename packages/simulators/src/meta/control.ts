/** The simulator's own API, for tests and demos in other processes: JSON or a form in, JSON out. */
import type { Fault } from "./faults.ts";
import type { MetaSimulator } from "./simulator.ts";
import type { AccessToken, BusinessNumber, Person, Template } from "./world.ts";

type Json = Record<string, unknown>;

/** Undefined: there is no such thing. Bodies are taken as they are: whoever calls this owns the simulator. */
export function answerControl(
  simulator: MetaSimulator,
  method: string,
  path: string,
  body: Json,
): object | undefined {
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
