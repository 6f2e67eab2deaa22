import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { databaseSecrets, parseDatabaseUrl } from "../../src/sdk/database.ts";
import { exactNumber, jsonValue, rfc3339 } from "../../src/sdk/database_value.ts";
import { ConfigError } from "../../src/sdk/errors.ts";

const all = ["postgres", "mysql", "sqlite"] as const;

test("a URL gives host, port, user, password and database, and a label without credentials", () => {
  const postgres = parseDatabaseUrl("postgres://re%40der:p%2Fw@db.example/shop", all);
  assert.deepEqual(postgres, { kind: "postgres", host: "db.example", port: 5432, user: "re@der", password: "p/w", database: "shop", label: "postgres://db.example/shop" });
  assert.equal(parseDatabaseUrl("mariadb://u@[::1]:3307/shop", all).host, "::1");
  assert.equal(parseDatabaseUrl("mariadb://u@[::1]:3307/shop", all).port, 3307);
  assert.equal(parseDatabaseUrl("sqlite:/var/lib/a%20b.db", all).database, "/var/lib/a b.db");
  assert.equal(parseDatabaseUrl("sqlite:///var/lib/shop.db", all).database, "/var/lib/shop.db");
  assert.equal(parseDatabaseUrl("sqlite:shop.db", all).database, "shop.db");
});

test("a wrong URL is refused without being repeated", () => {
  for (const url of ["oracle://u:secret@h/d", "postgres://u:secret@/d", "postgres://u:secret@h", "postgres://h/secret", "postgres://u:secret@h/d?sslmode=require", "sqlite:", ""]) {
    assert.throws(() => parseDatabaseUrl(url, all), (error: unknown) => error instanceof ConfigError && error.pointer === "/url" && !error.message.includes("secret"), url);
  }
  assert.throws(() => parseDatabaseUrl("sqlite:a.db", ["postgres"]), /begin with one of postgres:, postgresql:$/);
});

test("the password's file wins, and is read every time", async () => {
  const directory = await mkdtemp(join(tmpdir(), "sojourn-database-"));
  const file = join(directory, "password");
  const database = parseDatabaseUrl("postgres://u:old@h/d", all);
  await writeFile(file, "first\n");
  assert.equal((await databaseSecrets(database, { password_file: file })).password, "first");
  await writeFile(file, "second\n");
  assert.equal((await databaseSecrets(database, { password_file: file })).password, "second");
  assert.equal((await databaseSecrets(database, {})).password, "old");
  await rm(directory, { recursive: true });
});

test("a number is a number only where a double holds all of its digits", () => {
  for (const [text, value] of [
    ["10", 10], ["10.50", 10.5], ["-0.10", -0.1], ["007", 7], ["0", 0], ["-0", 0], ["0.00", 0], ["9007199254740991", 9007199254740991],
    ["9007199254740993", "9007199254740993"], ["9007199254740996", "9007199254740996"], ["0.1234567890123456789", "0.1234567890123456789"], ["18446744073709551615", "18446744073709551615"],
    ["NaN", "NaN"], ["Infinity", "Infinity"], ["", ""], ["1e5", "1e5"],
  ] as const) assert.equal(exactNumber(text), value, text);
});

test("a time keeps its microseconds and becomes RFC 3339; what is no time stays", () => {
  for (const [text, value] of [
    ["2026-11-22 10:00:00.123456+00", "2026-11-22T10:00:00.123456Z"], ["2026-11-22 10:00:00+05:30", "2026-11-22T10:00:00+05:30"],
    ["2026-11-22 10:00:00-03", "2026-11-22T10:00:00-03:00"], ["2026-11-22 10:00:00.5", "2026-11-22T10:00:00.5Z"],
    ["infinity", "infinity"], ["0000-00-00 00:00:00", "0000-00-00 00:00:00"], ["2026-11-22", "2026-11-22"], ["0044-03-15 10:00:00 BC", "0044-03-15 10:00:00 BC"],
  ] as const) assert.equal(rfc3339(text), value);
});

test("numbers inside JSON keep their digits too", () => {
  assert.deepEqual(jsonValue('{"a":[1,2.50,9007199254740993],"b":null}'), { a: [1, 2.5, "9007199254740993"], b: null });
  assert.equal(jsonValue("{no json"), "{no json");
});
