/** What the address of the page says. Only the token is a secret; the id is a hint, the cookie decides. */
export type PageLink = {
  token: string | undefined;
  companyId: string | undefined;
};

/** Reads `?company=962302#<token>`; `#token=<token>` means the same. */
export function readLink(url: URL): PageLink {
  const fragment = url.hash.slice(1);
  const named = new URLSearchParams(fragment).get("token");
  const bare = /^[\w.~-]{8,}$/.test(fragment) ? fragment : undefined;
  return {
    token: named ?? bare,
    companyId: url.searchParams.get("company") ?? undefined,
  };
}

/** The address to show after the exchange: no fragment, the company for a reload. */
export function addressAfterExchange(url: URL, companyId: string): string {
  const next = new URL(url);
  next.hash = "";
  next.searchParams.set("company", companyId);
  return next.pathname + next.search;
}
