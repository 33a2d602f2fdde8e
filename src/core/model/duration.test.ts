import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { seconds } from "./duration.ts";

/** Go's own table (time_test.go, parseDurationTests and parseDurationErrorTests), and seconds or undefined for an error. */
const ROWS: readonly (readonly [string, number | undefined])[] = [
  ["0", 0],
  ["+0", 0],
  ["5s", 5],
  ["30s", 30],
  ["1478s", 1478],
  ["+5s", 5],
  ["5.0s", 5],
  ["5.6s", 6],
  ["5.s", 5],
  [".5s", 1],
  ["100.00100s", 100],
  ["10ns", 0],
  ["11us", 0],
  ["12µs", 0],
  ["12μs10ns", 0],
  ["1600ms", 2],
  ["14s", 14],
  ["15m", 900],
  ["16h", 57_600],
  ["3h30m", 12_600],
  ["10.5s4m", 251],
  ["1h2m3s4ms5us6ns", 3723],
  ["39h9m14.425s", 140_954],
  ["0.3333333333333333333h", 1200],
  ["9223372036854775807ns", 9_223_372_037],
  ["9223372036854775.807us", 9_223_372_037],
  ["2562047h47m16s", 9_223_372_036],
  ["", undefined],
  ["3", undefined],
  ["-", undefined],
  ["s", undefined],
  [".", undefined],
  ["-.", undefined],
  [".s", undefined],
  ["+.s", undefined],
  ["1d", undefined],
  ["\x85\x85", undefined],
  ["5 s", undefined],
  ["1e3s", undefined],
  ["++5s", undefined],
  ["3000000h", undefined],
  ["9223372036854775.808s", undefined],
  ["-5s", undefined], // Go takes it; there is nothing that it could mean here
];

describe("a time span", () => {
  for (const [text, expected] of ROWS)
    it(`${JSON.stringify(text)} is ${expected === undefined ? "none" : `${expected} seconds`}`, () => {
      assert.equal(seconds(text), expected);
    });
});
