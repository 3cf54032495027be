/** What Meta says of how much and how fast a number may send; it is paced by that. */
import { FencedError, type MetaFacts } from "@manyline/db";
import { metaPace } from "../../domain/pace.ts";
import type { LoginHandlers } from "../provider.ts";
import type { Graph } from "./graph.ts";
import type { MetaPlace } from "./store.ts";
import type { TokenWatchParts } from "./token-watch.ts";

const DAY_MS = 86_400_000;
const AGAIN_MS = 300_000;
const QUIET_MS = 30_000;
/** The looks of many numbers are not all at the same time. */
const JITTER_MS = 60_000;

/** Fields of a number, for `limitsIn`. */
export const LIMIT_FIELDS = "quality_rating,throughput,whatsapp_business_manager_messaging_limit";

/** What the number's fields say; what is not there is not known. */
export function limitsIn(number: Record<string, unknown>): MetaFacts {
  const { quality_rating: quality, whatsapp_business_manager_messaging_limit: limit } = number;
  const level: unknown = Object(number["throughput"])["level"];
  return {
    ...(typeof limit === "string" ? { messagingLimit: limit } : {}),
    ...(typeof quality === "string" ? { quality } : {}),
    ...(typeof level === "string" ? { throughput: level } : {}),
  };
}

/** Asked by itself: a version of the API that does not know this field refuses the whole call. */
export async function appOf(graph: Graph, place: MetaPlace): Promise<MetaFacts> {
  try {
    const number = await graph.call("GET", `${place.phoneNumberId}?fields=is_on_biz_app`, place);
    const { is_on_biz_app: isOnApp } = number;
    return typeof isOnApp === "boolean" ? { isOnApp } : {};
  } catch {
    return {};
  }
}

export type LimitWatch = {
  /** All that is known, of former days as well. */
  readonly known: MetaFacts;
  /** The number is going to be open, and this is what Meta has just said of it. */
  start(facts: MetaFacts): void;
  /** Meta has told of a change: it is asked what holds now. */
  look(): void;
  end(): void;
};

export type LimitWatchParts = Omit<TokenWatchParts, "handlers"> & {
  handlers: Pick<LoginHandlers, "isQuiet" | "onFenced" | "onPace">;
};

/** Tells the number's pace at the start; asks and stores what Meta says once a day, and whenever there is a change. */
export function watchLimits(parts: LimitWatchParts): LimitWatch {
  const { number, place, graph, store, steps, handlers } = parts;
  // Of another place it says nothing.
  let known: MetaFacts = place.isActive ? (place.facts ?? {}) : {};
  let timer: NodeJS.Timeout | undefined;
  let [isOpen, isOver, isAsked, isLooking] = [false, false, false, false];

  const tell = (facts: MetaFacts): void => {
    known = { ...known, ...facts };
    handlers.onPace?.(metaPace(known));
  };
  const later = (inMs: number): void => {
    clearTimeout(timer);
    if (isOver) return;
    timer = setTimeout(look, inMs + Math.random() * JITTER_MS);
    timer.unref();
  };
  /** Answers in how long to ask again. */
  const lookOnce = async (): Promise<number> => {
    if (handlers.isQuiet()) return QUIET_MS;
    try {
      const [answer, app] = await Promise.all([
        graph.call("GET", `${place.phoneNumberId}?fields=${LIMIT_FIELDS}`, place),
        appOf(graph, place),
      ]);
      if (isOver) return DAY_MS;
      const facts = { ...limitsIn(answer), ...app };
      tell(facts);
      await store.keepFacts(number.fence, facts, place.token);
      return DAY_MS;
    } catch (error) {
      if (error instanceof FencedError) handlers.onFenced();
      else steps.note("facts", { error });
      return AGAIN_MS;
    }
  };
  const lookOn = async (): Promise<void> => {
    [isLooking, isAsked] = [true, false];
    const inMs = await lookOnce();
    isLooking = false;
    // There was another change meanwhile, maybe after Meta's answer.
    if (isAsked) look();
    else later(inMs);
  };
  function look(): void {
    isAsked = true;
    if (isOpen && !isLooking && !isOver) void lookOn();
  }
  return {
    get known() {
      return known;
    },
    start: (facts) => {
      isOpen = true;
      tell(facts);
      if (isAsked) look();
      else later(DAY_MS);
    },
    look,
    end: () => {
      isOver = true;
      clearTimeout(timer);
    },
  };
}
