/** What Vite turns files into. */
declare module "*.module.css" {
  const classes: { readonly [name: string]: string };
  export default classes;
}
/** One language of strings.json, cut by vite.config.ts: `section.key` → text or plural forms. */
declare module "*?language=en" {
  const dictionary: unknown;
  export default dictionary;
}
declare module "*?language=ru" {
  const dictionary: unknown;
  export default dictionary;
}
declare module "*?language=es" {
  const dictionary: unknown;
  export default dictionary;
}
declare module "*?language=pt" {
  const dictionary: unknown;
  export default dictionary;
}
