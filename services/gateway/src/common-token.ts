import { shardPoke } from "@manyline/contracts";
import { getCompany, listNumbers, renewCommonToken, withCompany } from "@manyline/db";
import type { Deps } from "./deps.ts";

/**
 * A token that was changed in the environment reaches, at the next start, the numbers that have the former one: those
 * of the company that is named for it, unless a number has a token of its own. Their owner takes it as after a PATCH.
 */
export async function giveCommonToken(
  deps: Pick<Deps, "config" | "appDb" | "platformDb" | "keyring" | "bus" | "logger">,
): Promise<void> {
  const { appDb, platformDb, keyring, bus, logger } = deps;
  const { defaultCompany, defaultToken } = deps.config.meta;
  if (defaultCompany === undefined || defaultToken === undefined) return;
  const company = await getCompany(platformDb, defaultCompany);
  if (!company) return;
  const { numbers, shardId } = await withCompany(appDb, company.companyNo, async (tx) => {
    const [any] = await listNumbers(tx, company.companyNo);
    return {
      numbers: await renewCommonToken(tx, keyring, company.companyNo, defaultToken),
      shardId: any?.shardId,
    };
  });
  if (numbers === 0 || shardId === undefined) return;
  bus.poke(shardPoke(shardId));
  const fields = { event: "meta.common_token_given", company_id: defaultCompany, numbers };
  logger.info(fields, "numbers have the token of the environment");
}
