import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { Checker } from "./checker.ts";

/** Answers `+` or `-` one after the other, then waits for ever; the opinion after each. */
async function opinions(answers: string, before: boolean | undefined): Promise<string> {
  let asked = 0;
  const seen: string[] = [];
  const word = (well: boolean | undefined): string => (well === undefined ? "?" : well ? "+" : "-");
  let end: () => void = () => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  const checker = new Checker({
    check: { interval: 0, rise: 2, fall: 3 },
    before,
    onTurn: () => {},
    ask: async () => {
      await turn();
      if (asked > 0) seen.push(word(checker.well));
      const answer = answers[asked++];
      if (answer === undefined) {
        end();
        await sleep(60_000, undefined, { ref: false });
      }
      return answer === "+";
    },
  });
  await ended;
  checker[Symbol.dispose]();
  return seen.join("");
}

describe("a check turns its opinion", () => {
  const cases: [string, string, boolean | undefined, string][] = [
    ["to well after two good answers", "++", undefined, "?+"],
    ["to unwell at once where nothing was known", "-++", undefined, "--+"],
    ["to unwell after three bad answers in a row", "--+---", true, "+++++-"],
    ["never by one answer", "-+-+-+", true, "++++++"],
    ["only by answers: what was known before holds", "-", true, "+"],
  ];
  for (const [title, answers, before, expected] of cases)
    it(title, async () => assert.equal(await opinions(answers, before), expected));
});
