import { timelockFields } from "../timelock.ts";
import { el, kids } from "../stanza.ts";
import type { Stanza } from "../stanza.ts";
import type { IqHandler } from "./router.ts";

const PRIVACY = ["last", "online", "profile", "status", "readreceipts", "groupadd", "calladd"];

const empty: IqHandler = (connection, iq) => {
  connection.reply(iq);
  return true;
};

const notFound: IqHandler = (connection, iq) => {
  connection.replyError(iq, 404, "item-not-found");
  return true;
};

/** The client switches between `passive` and `active`; stanzas flow from the first `active` on. */
export const handlePassive: IqHandler = (connection, iq, child) => {
  connection.reply(iq);
  if (child?.tag === "active") connection.delivery?.activate();
  return true;
};

/** Request families whose answer needs no state. */
export const SIMPLE_FAMILIES: Record<string, IqHandler> = {
  "w:p": empty,
  "w:stats": empty,
  "w:biz": empty,
  status: empty,
  disappearing_mode: empty,
  "urn:xmpp:whatsapp:dirty": empty,
  "w:profile:picture": notFound,
  abt: (connection, iq) => {
    const attrs = { protocol: "1", ab_key: "sim", hash: "sim", refresh: "86400" };
    connection.reply(iq, [el("props", attrs, [])]);
    return true;
  },
  blocklist: (connection, iq) => {
    connection.reply(iq, [el("list", { dhash: "none" }, [])]);
    return true;
  },
  privacy: (connection, iq) => {
    const categories = PRIVACY.map((name) => el("category", { name, value: "all" }));
    connection.reply(iq, iq.attrs["type"] === "set" ? undefined : [el("privacy", {}, categories)]);
    return true;
  },
  "w:sync:app:state": (connection, iq, child) => {
    connection.reply(iq, [el("sync", {}, kids(child, "collection").map(unchanged))]);
    return true;
  },
  "w:m": (connection, iq) => {
    const attrs = {
      auth: "sim",
      ttl: "3600",
      auth_ttl: "21600",
      max_buckets: "12",
      is_new: "true",
    };
    const host = el("host", { hostname: connection.server.mediaHost });
    connection.reply(iq, [el("media_conn", attrs, [host])]);
    return true;
  },
  "w:mex": (connection, iq, child) => {
    const account = connection.device?.account;
    const isTimelock = child?.attrs["query_id"] === TIMELOCK_QUERY;
    const answer = isTimelock
      ? { xwa2_fetch_account_reachout_timelock: account?.timelock ? timelockFields(account) : null }
      : (MEX_ANSWERS[child?.attrs["query_id"] ?? ""] ?? {});
    connection.reply(iq, [el("result", {}, Buffer.from(JSON.stringify({ data: answer })))]);
    return true;
  },
};

const TIMELOCK_QUERY = "23983697327930364";

/** By query id: an account without a quota for new chats. */
const MEX_ANSWERS: Record<string, unknown> = {
  "24503548349331633": { xwa2_message_capping_info: null },
};

function unchanged(collection: Stanza): Stanza {
  const { name = "", version = "0" } = collection.attrs;
  return el("collection", { name, version, type: "result", has_more_patches: "false" });
}
