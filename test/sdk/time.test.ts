import assert from "node:assert/strict";
import { test } from "node:test";
import { Timestamp } from "../../src/sdk/expression.ts";
import { formatTime, timeMs } from "../../src/sdk/time.ts";

const AT = Date.UTC(2026, 10, 3, 9, 15, 30);

test("an instant is understood in every form that sources use", () => {
  const forms: readonly unknown[] = [
    "2026-11-03T09:15:30Z", "2026-11-03t09:15:30z", "2026-11-03 09:15:30Z", "2026-11-03T10:15:30+01:00", "2026-11-03 10:15:30+01",
    "2026-11-03 10:15:30 +0100", "2026-11-03T03:45:30-05:30", " 2026-11-03T09:15:30.000Z ", AT / 1_000, AT, AT * 1_000, AT * 1e6,
    String(AT / 1_000), String(AT), BigInt(AT), BigInt(AT) * 1_000_000n, `${AT}000000`, new Timestamp(AT),
  ];
  for (const form of forms) assert.equal(timeMs(form), AT, String(form as string));
});

test("fractions are kept to the millisecond", () => {
  assert.equal(timeMs("2026-11-03T09:15:30.5Z"), AT + 500);
  assert.equal(timeMs("2026-11-03T09:15:30,123456789Z"), AT + 123);
  assert.equal(timeMs("2026-11-03T09:15:30.999999Z"), AT + 999);
  assert.equal(timeMs(AT / 1_000 + 0.25), AT + 250);
  assert.equal(timeMs(1_762_162_200.123), 1_762_162_200_123);
  assert.equal(timeMs(`${AT / 1_000}.5`), AT + 500);
});

test("what is no instant is undefined", () => {
  const none: readonly unknown[] = [
    "", "now", "2026", "12345", "2026-11-03", "2026-11-03T09:15:30", "2026-13-03T09:15:30Z", "2026-02-30T09:15:30Z", "2026-11-03T24:15:30Z",
    "2026-11-03T09:60:30Z", "2026-11-03T09:15:30+24:00", "20261103T091530Z", "2026-11-03T09:15:30Zjunk", "0x10000000000", "1e12", "9".repeat(30),
    Number.NaN, Infinity, 1e300, null, undefined, true, {}, [], "x".repeat(1_000_000),
  ];
  for (const value of none) assert.equal(timeMs(value), undefined, String(value as string).slice(0, 40));
});

test("early and old times are themselves", () => {
  assert.equal(timeMs(0), 0);
  assert.equal(timeMs(-1), -1_000);
  assert.equal(timeMs("0001-01-01T00:00:00Z"), -62_135_596_800_000);
  assert.equal(timeMs("9999-12-31T23:59:59.999Z"), 253_402_300_799_999);
  assert.equal(timeMs("2024-02-29T00:00:00Z"), Date.UTC(2024, 1, 29));
  assert.equal(timeMs("2016-12-31T23:59:60Z"), Date.UTC(2017, 0, 1));
});

test("a time is written as RFC 3339, and never fails to be", () => {
  assert.equal(formatTime(AT), "2026-11-03T09:15:30Z");
  assert.equal(formatTime(AT + 120), "2026-11-03T09:15:30.12Z");
  assert.equal(formatTime(Number.NaN), "NaN");
  assert.equal(formatTime(1e300), "1e+300");
  assert.equal(timeMs(formatTime(AT + 7)), AT + 7);
});
