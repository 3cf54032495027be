/** What Vite turns files into. */
declare module "*.module.css" {
  const classes: { readonly [name: string]: string };
  export default classes;
}
declare module "*.css";
/** One language of strings.json, cut by vite.config.ts: `section.key` → text or plural forms. */
declare module "*?language=en" {
  const dictionary: import("./strings/language.ts").Dictionary;
  export default dictionary;
}
declare module "*?language=ru" {
  const dictionary: import("./strings/language.ts").Dictionary;
  export default dictionary;
}
declare module "*?language=es" {
  const dictionary: import("./strings/language.ts").Dictionary;
  export default dictionary;
}
declare module "*?language=pt" {
  const dictionary: import("./strings/language.ts").Dictionary;
  export default dictionary;
}
