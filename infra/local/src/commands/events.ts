/** Events as they happen. */
import { Refusal } from "../refusal.ts";
import type { CommandGroup } from "./command.ts";
import { parseWords, part, usageText } from "./command.ts";

const TAIL = "events tail <company> [--number num_…] [--type message.] [--since <time>] [--json]";
/** Of the stream itself. */
const OWN_WORDS = new Set(["snapshot", "lag", "lost"]);
const WIDTH = 160;

export const EVENT_COMMANDS: CommandGroup = {
  title: "Events",
  commands: {
    events: {
      usage: TAIL,
      help: "shows a company's events as they happen, until Ctrl-C; --json: each whole, on a line",
      run: async (rest, args, screen) => {
        const options = {
          number: { type: "string" },
          type: { type: "string" },
          since: { type: "string" },
          json: { type: "boolean" },
        } as const;
        const words = parseWords(TAIL, args, { least: 2, options });
        const [verb, companyId = ""] = words.positionals;
        if (verb !== "tail" || !rest.follow) throw new Refusal(usageText(TAIL));
        const query = new URLSearchParams();
        for (const name of ["number", "since"] as const) {
          const value = words.text(name);
          if (value !== undefined) query.set(name, value);
        }
        const wanted = words.text("type") ?? "";
        const path = `/api/whatsapp/sessions/${part(companyId)}/events?${query.toString()}`;
        const { follow } = rest;
        return screen.interruptible(async (signal) => {
          for await (const { event, data } of follow(path, signal)) {
            if (event === "ended")
              return ["The stream has ended: the token or the number is gone."];
            if (OWN_WORDS.has(event) || !event.startsWith(wanted)) continue;
            screen.write(words.has("json") ? `${data}\n` : `${lineOf(event, data)}\n`);
          }
          return [];
        });
      },
    },
  },
};

/** Time, number, type, and what it says, as much as fits. */
function lineOf(event: string, text: string): string {
  let envelope: Record<string, unknown> = {};
  try {
    envelope = Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    // It is shown as it came.
  }
  const { time, numberid, data } = envelope;
  const said = data === undefined ? text : JSON.stringify(data);
  const [when, number] = [time, numberid].map((one) => (typeof one === "string" ? one : "-"));
  const short = said.length > WIDTH ? `${said.slice(0, WIDTH)}…` : said;
  return `${when}  ${number}  ${event}  ${short}`;
}
