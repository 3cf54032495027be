import type { App } from "./app.ts";

type Known = { readonly pattern: RegExp; readonly method: string };
const routes = new WeakMap<object, Known[]>();

/** Notes every route, so that a wrong method can be told from a wrong path. Before the first route. */
export function rememberRoutes(app: App): void {
  const known: Known[] = [];
  routes.set(app, known);
  app.addHook("onRoute", ({ url, method }) => {
    const path = url
      .split("/")
      .map((part) => (part === "*" ? ".*" : part.startsWith(":") ? "[^/]+" : escapeText(part)))
      .join("/");
    const pattern = new RegExp(`^${path}$`);
    for (const one of Array.isArray(method) ? method : [method])
      known.push({ pattern, method: one });
  });
}

/** The methods that the path of `url` takes; none: there is no such path. */
export function allowedMethods(app: App, url: string): string[] {
  const [path = ""] = url.split("?");
  const found = (routes.get(app) ?? []).filter(({ pattern }) => pattern.test(path));
  return [...new Set(found.map(({ method }) => method))].toSorted();
}

function escapeText(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
