import type { Company, NumberAnswer, Session, Shard, StatusAnswer } from "@manyline/contracts";
import { makePairingLink } from "../demo.ts";
import type { Rest } from "../rest.ts";
import type { CommandGroup } from "./command.ts";
import { jsonLines, parseWords, part } from "./command.ts";
import { fieldOf, listFrom, pagesFrom } from "./answers.ts";
import { ago, facts, table, yesNo } from "./table.ts";

const LINK = "pairing-link <company> [--number num_…]";
const COMPANIES = "companies [--json]";
const NUMBERS = "numbers <company> [--json]";
const STATUS = "status <company> [--json]";
const JSON_OPTION = { json: { type: "boolean" } } as const;
const NO_NUMBERS = "This company has no numbers yet.";

export const TENANT_COMMANDS: CommandGroup = {
  title: "Companies and their numbers",
  commands: {
    "pairing-link": {
      usage: LINK,
      help: "makes a fresh link that pairs the company's primary number, or the given one",
      run: async (rest, args) => {
        const options = { number: { type: "string" } } as const;
        const words = parseWords(LINK, args, { least: 1, options });
        const [companyId = ""] = words.positionals;
        return [await makePairingLink(rest, companyId, words.text("number"))];
      },
    },
    companies: {
      usage: COMPANIES,
      help: "lists the companies",
      run: async (rest, args) => {
        const words = parseWords(COMPANIES, args, { least: 0, options: JSON_OPTION });
        const path = "/api/whatsapp/companies";
        const rows = await pagesFrom<Company>(rest, path, "companies", "after");
        if (words.has("json")) return jsonLines(rows);
        return table(
          rows,
          [
            { title: "COMPANY", cell: ({ id }) => id },
            { title: "NAME", cell: ({ name }) => name },
            { title: "PHONE", cell: ({ phone }) => phone },
            { title: "ENABLED", cell: ({ whatsappEnabled }) => yesNo(whatsappEnabled) },
          ],
          "There are no companies yet.",
        );
      },
    },
    numbers: {
      usage: NUMBERS,
      help: "lists a company's numbers with their status",
      run: async (rest, args) => {
        const words = parseWords(NUMBERS, args, { least: 1, options: JSON_OPTION });
        const [companyId = ""] = words.positionals;
        const path = `/api/whatsapp/companies/${part(companyId)}/numbers`;
        const rows = await listFrom<NumberAnswer>(rest, path, "numbers");
        if (words.has("json")) return jsonLines(rows);
        return table(
          rows,
          [
            { title: "NUMBER", cell: ({ id }) => id },
            { title: "PROVIDER", cell: ({ provider, wpp }) => wpp?.server ?? provider },
            { title: "PHONE", cell: ({ phone }) => phone },
            { title: "PRIMARY", cell: ({ isPrimary }) => yesNo(isPrimary) },
            { title: "STATUS", cell: ({ status }) => status },
            { title: "REASON", cell: ({ reason }) => reason },
          ],
          NO_NUMBERS,
        );
      },
    },
    status: {
      usage: STATUS,
      help: "says how each number of a company fares, on which shard, and what to do",
      run: async (rest, args) => {
        const words = parseWords(STATUS, args, { least: 1, options: JSON_OPTION });
        const [companyId = ""] = words.positionals;
        const status = (await rest(
          "GET",
          `/api/whatsapp/sessions/${part(companyId)}/status`,
        )) as StatusAnswer;
        const path = `/api/whatsapp/sessions?company=${part(companyId)}`;
        const sessions = await pagesFrom<Session>(rest, path, "sessions", "after");
        if (words.has("json")) return jsonLines({ status, sessions });
        const now = new Date(status.serverTime);
        return [
          ...facts([
            ["company", `${status.companyId} (${status.company.name})`],
            ["shard", await shardOf(rest, sessions[0]?.shardId)],
            ["codes left this hour", status.codesLeft],
            ["blocked until", status.blockedUntil],
            ["pairing attempt", attemptOf(status)],
          ]),
          "",
          ...sessionTable(sessions, now),
        ];
      },
    },
  },
};

/** The shard, and why it has no owner if it has none. */
async function shardOf(rest: Rest, shardId: number | undefined): Promise<string | null> {
  if (shardId === undefined) return null;
  const answer = await rest("GET", `/api/whatsapp/shards/${shardId}`);
  const { isLive, isPaused } = fieldOf(answer, "shard") as Shard;
  if (isPaused)
    return `${shardId}, paused by an operator until: npm run manyline -- unpause ${shardId}`;
  return isLive ? String(shardId) : `${shardId}, which nobody owns at the moment`;
}

function attemptOf({ attempt }: StatusAnswer): string | null {
  if (attempt === null) return null;
  const how = attempt.outcome === null ? attempt.state : `ended: ${attempt.outcome}`;
  return `${attempt.method}, ${how}${attempt.errorCode === null ? "" : ` (${attempt.errorCode})`}`;
}

function sessionTable(sessions: readonly Session[], now: Date): string[] {
  return table(
    sessions,
    [
      { title: "NUMBER", cell: ({ numberId }) => numberId },
      { title: "PHONE", cell: ({ phone }) => phone },
      { title: "PRIMARY", cell: ({ isPrimary }) => yesNo(isPrimary) },
      { title: "STATUS", cell: ({ status }) => status },
      { title: "REASON", cell: ({ reason }) => reason },
      { title: "SINCE", isRight: true, cell: ({ since }) => ago(since, now) },
      { title: "SCORE", isRight: true, cell: ({ score }) => score },
      { title: "TRIES", isRight: true, cell: ({ reconnectAttempts }) => reconnectAttempts },
      { title: "SEEN", isRight: true, cell: ({ lastSeenAt }) => ago(lastSeenAt, now) },
      { title: "TO DO", cell: ({ nextAction }) => (nextAction === "none" ? null : nextAction) },
    ],
    NO_NUMBERS,
  );
}
