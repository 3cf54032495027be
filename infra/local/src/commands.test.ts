import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMANDS, commandHelp } from "./commands.ts";
import { fakeRest, fakeScreen } from "./commands/testing.ts";
import { Refusal } from "./refusal.ts";

const EXPECTED = [
  ["pairing-link", "companies", "numbers", "status", "tokens", "events", "wpp"],
  ["workers", "drain", "resume", "metrics"],
  ["shards", "moves", "pin", "unpin", "pause", "unpause", "split", "merge", "unsplit", "unmerge"],
  ["reconnect-all", "pair-all", "jobs", "job", "cancel-job"],
  ["dead", "replay"],
].flat();

test("every command is in the help, under its own name", () => {
  assert.deepEqual([...COMMANDS.keys()], EXPECTED);
  const help = commandHelp().split("\n");
  for (const [name, command] of COMMANDS) {
    assert.ok(command.usage === name || command.usage.startsWith(`${name} `), name);
    const line = help.find((one) => one.startsWith(`  ${command.usage} `));
    assert.ok(line?.endsWith(`  ${command.help}`), name);
  }
});

test("words that a command does not know are refused with its usage, before anything is asked", async () => {
  const { screen } = fakeScreen();
  for (const [name, { usage, run }] of COMMANDS) {
    const takesMany = usage.includes("…]");
    const wrongs = [["--colour"], ...(takesMany ? [] : [["a", "b", "c", "d"]])];
    if (usage.includes("<")) wrongs.push([]);
    for (const words of wrongs) {
      const { rest, asked } = fakeRest({});
      await assert.rejects(
        async () => run(rest, words, screen),
        (error: unknown) => {
          assert.ok(error instanceof Refusal, `${name} ${words.join(" ")}: ${String(error)}`);
          assert.ok(error.message.includes(`Usage: npm run manyline -- ${usage}`), error.message);
          return true;
        },
      );
      assert.deepEqual(asked, []);
    }
  }
});
