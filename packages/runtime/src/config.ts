/**
 * Typed reading of environment variables.
 *
 * `readConfig` runs a build function over a reader and collects every mistake, so that an operator
 * sees all of them at once instead of one per restart. The same build function run by
 * `describeConfig` yields the table for the README: code and document cannot drift apart.
 *
 * This module never touches `process.env`; a service's `main.ts` hands it in.
 */
import { ConfigReader } from "./config-reader.ts";
import type { ConfigMistake, Env, EnvRow } from "./config-reader.ts";

export { ConfigReader } from "./config-reader.ts";
export type { ConfigMistake, Env, EnvRow } from "./config-reader.ts";

/**
 * The process must not start with this environment. `message` lists every mistake, one a line, with
 * the variable's name and value; values of secrets are never part of it.
 */
export class ConfigError extends Error {
  override name = "ConfigError";
  readonly code = "CONFIG_INVALID";
  readonly retry = "never";
  readonly mistakes: readonly ConfigMistake[];

  constructor(mistakes: readonly ConfigMistake[]) {
    super(
      `The configuration has ${mistakes.length === 1 ? "a mistake" : `${mistakes.length} mistakes`}:\n` +
        mistakes.map((mistake) => `- ${mistake.message}`).join("\n"),
    );
    this.mistakes = mistakes;
  }
}

/**
 * Reads a config object from `env`. Throws one ConfigError with everything that is wrong.
 * After a mistake the reader goes on with a stand-in value, which is why whatever `build` throws
 * once there is a mistake is dropped in favour of the list.
 */
export function readConfig<T>(env: Env, build: (r: ConfigReader) => T): T {
  const reader = new ConfigReader(env);
  let config: T;
  try {
    config = build(reader);
  } catch (error) {
    if (reader.mistakes.length > 0) throw new ConfigError(reader.mistakes);
    throw error;
  }
  if (reader.mistakes.length > 0) throw new ConfigError(reader.mistakes);
  return config;
}

/** The variables that `build` reads, in its order, without an environment being needed. */
export function describeConfig(build: (r: ConfigReader) => unknown): EnvRow[] {
  const reader = new ConfigReader({});
  try {
    build(reader);
  } catch (error) {
    // Stand-in values may upset code in `build`; then the table would be cut short without a word.
    throw new Error("describeConfig: the build function must not throw on stand-in values", {
      cause: error,
    });
  }
  return reader.table();
}

/**
 * The Markdown table for a README. A test compares it with the file:
 * `assert.ok(readme.includes(envTable(describeConfig(buildConfig))))`.
 * Throws when a variable has no meaning written down.
 */
export function envTable(rows: readonly EnvRow[]): string {
  const lines = rows.map((row) => {
    if (row.meaning === "") throw new Error(`${row.name} has no meaning written down`);
    const fallback = row.default === undefined ? "" : `\`${row.default}\``;
    return `| \`${row.name}\` | ${row.meaning} | ${fallback} | ${row.isRequired ? "yes" : "no"} |`;
  });
  return ["| name | meaning | default | required |", "| --- | --- | --- | --- |", ...lines].join(
    "\n",
  );
}
