import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

/** What pages share, as one file; without what the pairing page fetches later. */
const SHARED = /preact|preload-helper|src\/(components\/(?!status-glyph)|phone-number\/format)/;

/**
 * Three pages with one set of components. They are served by different servers (the pairing page and the table of
 * capabilities by the gateway, the phone by the WhatsApp simulator) from the same folder, so all addresses are
 * relative. Nothing is inline: all are served under `default-src 'self'; img-src 'self' data:`.
 */
export default defineConfig(({ command }) => ({
  root: fileURLToPath(new URL(".", import.meta.url)),
  base: "./",
  publicDir: false,
  plugins: [stringsByLanguage()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  css: {
    modules: { generateScopedName: command === "build" ? "[hash:base64:5]" : "[name]-[local]" },
  },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    // One sheet for both pages: parts that are fetched later need none.
    cssCodeSplit: false,
    modulePreload: false,
    reportCompressedSize: false,
    rolldownOptions: {
      // In pieces the pairing page, which needs all of it, would be larger.
      output: { codeSplitting: { groups: [{ name: "shared", test: SHARED, minShareCount: 2 }] } },
      input: {
        "whatsapp-pairing": fileURLToPath(new URL("whatsapp-pairing.html", import.meta.url)),
        phone: fileURLToPath(new URL("phone.html", import.meta.url)),
        capabilities: fileURLToPath(new URL("capabilities.html", import.meta.url)),
      },
    },
  },
  server: { host: "127.0.0.1", proxy: { "/api": "http://127.0.0.1:8080" } },
}));

/** `strings.json?language=ru` is only the Russian texts, as `section.key` → text or plural forms. */
function stringsByLanguage(): Plugin {
  const query = "?language=";
  return {
    name: "strings-by-language",
    enforce: "pre",
    load(id) {
      const [file, language] = id.split(query);
      if (file === undefined || language === undefined) return null;
      const sections = JSON.parse(readFileSync(file, "utf8")) as Record<
        string,
        Record<string, Record<string, unknown>>
      >;
      const texts = Object.entries(sections).flatMap(([section, keys]) =>
        Object.entries(keys).map(([key, byLanguage]) => [
          `${section}.${key}`,
          byLanguage[language],
        ]),
      );
      const json = JSON.stringify(Object.fromEntries(texts));
      return { code: `export default ${json};`, moduleType: "js" };
    },
  };
}
