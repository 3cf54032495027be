/** What is sent to one reader: rendered now, so that it says what is true now. */
import { PAIRING_LINK_SCOPES } from "@manyline/contracts";
import {
  addresseesOf,
  addressKey,
  hasPage,
  languageOf,
  mayBeSent,
  NOTICE_FIGURES,
  NOTICE_KINDS,
  type NoticeFacts,
  type NoticeInput,
  type NoticeKind,
  type RenderedNotice,
  renderNotice,
  renderSeveral,
  stillNews,
} from "@manyline/contracts/notices";
import {
  type ClaimedNotification,
  createNoticeLink,
  type Database,
  type Keyring,
  readNoticeCode,
} from "@manyline/db";

export type LetterOptions = {
  db: Database;
  keyring: Keyring;
  /** Where people reach the pages; undefined: mails have no link. */
  publicUrl: string | undefined;
};

/** `over`: those that are no news any more; without `content` none is. */
export type Letter = {
  content: RenderedNotice | undefined;
  news: ClaimedNotification[];
  over: ClaimedNotification[];
};

const CODE_KINDS: ReadonlySet<string> = new Set<NoticeKind>(["pairing_code", "switched_to_code"]);

/** A number that is connected again is no news to anybody. */
const OVER_WHEN_CONNECTED: ReadonlySet<string> = new Set<NoticeKind>([
  "number_disconnected",
  "passkey_required",
  "phone_missing",
  "switched_to_code",
  "pairing_code",
]);

export async function writeLetter(
  options: LetterOptions,
  claimed: ClaimedNotification[],
): Promise<Letter> {
  const fresh = new Set(
    stillNews(
      claimed
        .filter((one) => isTrue(one))
        .map((one) => ({
          kind: kindOf(one),
          companyId: one.companyId,
          about:
            one.kind === "endpoint_disabled" ? String(one.facts["host"]) : (one.numberId ?? "_"),
          expiresAt: one.expiresAt,
          one,
        })),
      claimed[0]?.now ?? new Date(),
    ).map(({ one }) => one),
  );
  const news = claimed.filter((one) => fresh.has(one));
  const over = claimed.filter((one) => !fresh.has(one));
  const [first] = news;
  if (first === undefined) return { content: undefined, news, over };
  if (news.length > 1) {
    const content = renderSeveral(news.map(inputOf), languageOf(first.language));
    return { content, news, over };
  }
  const input = await completed(options, first);
  return input === undefined
    ? { content: undefined, news: [], over: claimed }
    : { content: renderNotice(input), news, over };
}

function isTrue(one: ClaimedNotification): boolean {
  if (!isStillReader(one)) return false;
  if (!mayBeSent(kindOf(one), one.now, one.expiresAt)) return false;
  if (one.kind === "number_disconnected" && one.status === null) return false;
  if (one.kind === "phone_missing" && one.companyPhone !== null) return false;
  return !(one.status === "connected" && OVER_WHEN_CONNECTED.has(one.kind));
}

/** An address that was taken out of the settings since gets neither news nor the key of a page. */
function isStillReader(one: ClaimedNotification): boolean {
  const now = addresseesOf(kindOf(one), { ...one, phone: one.companyPhone });
  const key = addressKey(one.address);
  return now.some(({ channel, address }) => channel === one.channel && addressKey(address) === key);
}

/** With the code and the page. Undefined: the code is no more. */
async function completed(
  { db, keyring, publicUrl }: LetterOptions,
  one: ClaimedNotification,
): Promise<NoticeInput | undefined> {
  const input = inputOf(one);
  if (CODE_KINDS.has(one.kind)) {
    const code =
      one.attemptId === null
        ? undefined
        : await readNoticeCode(db, keyring, one.companyNo, one.attemptId);
    if (code === undefined) return undefined;
    if (one.kind === "pairing_code") input.code = code;
  }
  const { companyNo, numberNo, companyId } = one;
  if (hasPage(input.kind) && publicUrl !== undefined && numberNo !== null) {
    const secret = await createNoticeLink(db, {
      companyNo,
      numberNo,
      scopes: PAIRING_LINK_SCOPES,
      ttlMs: NOTICE_FIGURES.linkMs,
    });
    input.url = `${publicUrl.replace(/\/+$/, "")}/whatsapp-pairing.html?company=${encodeURIComponent(companyId)}#${secret}`;
  }
  return input;
}

function inputOf(one: ClaimedNotification): NoticeInput {
  const facts = one.facts as NoticeFacts;
  return {
    kind: kindOf(one),
    language: languageOf(one.language),
    timezone: one.timezone,
    company: one.company,
    now: one.now,
    facts: {
      ...facts,
      phone: facts.phone ?? one.attemptPhone ?? one.numberPhone ?? null,
      numberName: facts.numberName ?? one.numberName ?? one.numberId,
    },
  };
}

export function kindOf({ kind }: { kind: string }): NoticeKind {
  const known = NOTICE_KINDS.find((one) => one === kind);
  if (known === undefined) throw new Error(`there is no notice ${kind}`);
  return known;
}
