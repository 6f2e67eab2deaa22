import assert from "node:assert/strict";
import test from "node:test";
import type { Json } from "../../src/sdk/observation.ts";
import { sharedMariadb } from "../support/mariadb.ts";
import { watch } from "./cdc_mysql_support.ts";

const mariadb = sharedMariadb();

/** Column type; what is written, as SQL; what must come out. */
const VALUES: readonly (readonly [type: string, ...(readonly [sql: string, value: Json])[]])[] = [
  ["TINYINT", ["-128", -128], ["127", 127]],
  ["TINYINT UNSIGNED", ["255", 255]],
  ["SMALLINT", ["-32768", -32768]],
  ["SMALLINT UNSIGNED", ["65535", 65535]],
  ["MEDIUMINT", ["-8388608", -8388608], ["8388607", 8388607]],
  ["MEDIUMINT UNSIGNED", ["16777215", 16777215]],
  ["INT", ["-2147483648", -2147483648], ["2147483647", 2147483647]],
  ["INT UNSIGNED", ["4294967295", 4294967295]],
  ["BIGINT", ["-9223372036854775808", "-9223372036854775808"], ["9223372036854775807", "9223372036854775807"], ["9007199254740993", "9007199254740993"],
    ["9007199254740992", "9007199254740992"], ["9007199254740991", 9007199254740991], ["-1", -1]],
  ["BIGINT UNSIGNED", ["18446744073709551615", "18446744073709551615"], ["42", 42]],
  ["DECIMAL(65,30)", ["12345678901234567890123456789012345.123456789012345678901234567891", "12345678901234567890123456789012345.123456789012345678901234567891"],
    ["-0.000000000000000000000000000001", "-0.000000000000000000000000000001"], ["-12.5", -12.5], ["0", 0]],
  ["DECIMAL(10,2)", ["-99999999.99", -99999999.99], ["-0.01", -0.01], ["1000", 1000]],
  ["DECIMAL(20,0)", ["99999999999999999999", "99999999999999999999"]],
  ["FLOAT", ["0.1", 0.1], ["16777216", 16777216], ["-1.17549435e-38", -1.1754944e-38], ["3.40282e38", 3.40282e38], ["1234567.9", 1234567.9]],
  ["DOUBLE", ["0.1", 0.1], ["1.7976931348623157e308", 1.7976931348623157e308], ["-2.5e-300", -2.5e-300], ["123456789012345680", 123456789012345680]],
  ["BIT(1)", ["b'1'", 1], ["b'0'", 0]],
  ["BIT(12)", ["b'100000000001'", 2049]],
  ["BIT(64)", ["b'1111111111111111111111111111111111111111111111111111111111111111'", "18446744073709551615"]],
  ["BOOLEAN", ["TRUE", 1], ["FALSE", 0]],
  ["YEAR", ["2026", 2026], ["1901", 1901], ["0000", 0]],
  ["DATE", ["'2026-02-28'", "2026-02-28"], ["'1000-01-01'", "1000-01-01"], ["'0000-00-00'", "0000-00-00"]],
  ["DATETIME", ["'2026-02-28 23:59:59'", "2026-02-28T23:59:59Z"], ["'0000-00-00 00:00:00'", "0000-00-00 00:00:00"]],
  ["DATETIME(6)", ["'2026-02-28 23:59:59.000001'", "2026-02-28T23:59:59.000001Z"], ["'9999-12-31 23:59:59.999999'", "9999-12-31T23:59:59.999999Z"]],
  ["DATETIME(3)", ["'2026-02-28 23:59:59.120'", "2026-02-28T23:59:59.120Z"]],
  ["TIMESTAMP NULL", ["'2026-02-28 23:59:59'", "2026-02-28T23:59:59Z"]],
  ["TIMESTAMP(6) NULL", ["'2026-02-28 23:59:59.123456'", "2026-02-28T23:59:59.123456Z"], ["'2038-01-19 03:14:07.999999'", "2038-01-19T03:14:07.999999Z"]],
  ["TIME", ["'23:59:59'", "23:59:59"], ["'-838:59:59'", "-838:59:59"], ["'-00:00:01'", "-00:00:01"], ["'-00:01:00'", "-00:01:00"], ["'-01:00:00'", "-01:00:00"]],
  ["TIME(6)", ["'-00:01:00'", "-00:01:00.000000"], ["'-01:00:00'", "-01:00:00.000000"], ["'-99:00:00'", "-99:00:00.000000"], ["'-00:00:00.1'", "-00:00:00.100000"],
    ["'838:59:59.999999'", "838:59:59.999999"], ["'-838:59:59.999999'", "-838:59:59.999999"], ["'-00:00:59.999999'", "-00:00:59.999999"]],
  ["TIME(3)", ["'-12:34:56.789'", "-12:34:56.789"], ["'-00:59:00'", "-00:59:00.000"], ["'-00:01:00.5'", "-00:01:00.500"]],
  ["CHAR(10)", ["'  a '", "  a"], ["''", ""]],
  ["VARCHAR(300)", ["'it''s 🚚 \\\\ \\n'", "it's 🚚 \\ \n"], ["REPEAT('ä', 300)", "ä".repeat(300)]],
  ["VARCHAR(20) CHARACTER SET latin1", ["'Zürich €'", "Zürich €"]],
  ["VARCHAR(20) CHARACTER SET utf16", ["'Zürich'", "Zürich"]],
  ["TEXT", ["'long'", "long"]],
  ["LONGTEXT", ["REPEAT('x', 70000)", "x".repeat(70_000)]],
  ["JSON", ["'{\"a\": [1, 2.50, null], \"big\": 9007199254740993}'", { a: [1, 2.5, null], big: "9007199254740993" }], ["'\"text\"'", "text"], ["'null'", null]],
  ["BINARY(4)", ["'ab'", "YWIAAA=="]],
  ["VARBINARY(10)", ["x'00ff80'", "AP+A"], ["''", ""]],
  ["BLOB", ["x'deadbeef00'", "3q2+7wA="]],
  ["ENUM('a','b,c','d''e')", ["'a'", "a"], ["'b,c'", "b,c"], ["'d''e'", "d'e"]],
  ["SET('x','y','z')", ["'x,z'", "x,z"], ["''", ""]],
  ["UUID", ["'6ccd780c-baba-1026-9564-5b8c656024db'", "6ccd780c-baba-1026-9564-5b8c656024db"], ["'0189f7e0-7c4a-7000-8000-000000000000'", "0189f7e0-7c4a-7000-8000-000000000000"]],
  ["INET6", ["'2001:db8::ff00:42:8329'", "2001:db8::ff00:42:8329"], ["'::'", "::"], ["'::1'", "::1"], ["'::ffff:192.0.2.1'", "::ffff:192.0.2.1"], ["'::10.0.0.1'", "::10.0.0.1"],
    ["'1:0:0:2:0:0:0:3'", "1:0:0:2::3"], ["'1:2:3:4:5:6:7:8'", "1:2:3:4:5:6:7:8"], ["'fe80:0:1:1:1:1:1:1'", "fe80::1:1:1:1:1:1"], ["'1::'", "1::"]],
  ["INET4", ["'192.0.2.255'", "192.0.2.255"]],
  ["POINT", ["POINT(1.5, -2)", { x: 1.5, y: -2 }]],
];

test("a value is the same from the snapshot and from the binlog, and no digit or microsecond of it is lost", async (t) => {
  const server = await mariadb(t);
  if (server === undefined) return;
  const db = await server.createDatabase();
  const shop = await server.connect(db);
  await shop.query("SET sql_mode = '', time_zone = '+00:00'");
  await shop.query("CREATE TABLE orders (id INT PRIMARY KEY)");
  const columns = VALUES.map(([type], i) => `c${i} ${type}`);
  await shop.query(`CREATE TABLE kinds (id INT PRIMARY KEY, ${columns.join(", ")})`);
  const rows = Math.max(...VALUES.map((values) => values.length - 1));
  const insert = async (from: number): Promise<void> => {
    for (let row = 0; row < rows; row++) {
      const cells = VALUES.map(([, ...values]) => values[row]?.[0] ?? "NULL");
      await shop.query(`INSERT INTO kinds VALUES (${from + row}, ${cells.join(", ")})`);
    }
  };
  await insert(0);
  await using watching = await watch(t, server, db, ["kinds"]);
  await watching.count(rows);
  await insert(100);
  await watching.count(2 * rows);
  await shop.query("UPDATE kinds SET id = id + 100 WHERE id = 100");
  await shop.end();
  await watching.count(2 * rows + 2);

  for (const [index, { op, before, after }] of watching.changes().entries()) {
    const row = (after ?? before)!;
    for (const [i, [type, ...values]] of VALUES.entries()) {
      const [sql, wanted] = values[(row.id as number) % 100] ?? ["NULL", null];
      assert.deepEqual(row[`c${i}`], wanted, `${type} of ${sql} by ${op} (${index})`);
    }
  }
  assert.deepEqual(watching.recorded.reports, []);
});

test("where the binlog does not name columns, they are named by the table's definition, and that is said", async (t) => {
  const server = await mariadb(t);
  if (server === undefined || !server.ours) return t.skip("needs a server of our own");
  const db = await server.createDatabase();
  const shop = await server.connect(db);
  await shop.query("SET SESSION binlog_row_metadata = MINIMAL").catch(() => undefined);
  await server.query("SET GLOBAL binlog_row_metadata = MINIMAL");
  await shop.query("CREATE TABLE orders (id INT PRIMARY KEY, status VARCHAR(20), kind ENUM('a','b'), mark SET('x','y'), note JSON, code UUID, n INT UNSIGNED)");
  await using watching = await watch(t, server, db, ["orders"]);
  await watching.until("it streams", () => watching.status().doing === "streaming");
  await shop.query("INSERT INTO orders VALUES (1, 'new', 'b', 'x,y', '{\"a\":1}', '6ccd780c-baba-1026-9564-5b8c656024db', 4294967295)");
  await shop.query("UPDATE orders SET id = 2");
  await watching.count(3);
  const row = { status: "new", kind: "b", mark: "x,y", note: { a: 1 }, code: "6ccd780c-baba-1026-9564-5b8c656024db", n: 4294967295 };
  assert.deepEqual(watching.changes().map(({ op, before, after }) => ({ op, before, after })), [
    { op: "c", before: null, after: { id: 1, ...row } },
    { op: "d", before: { id: 1, ...row }, after: null },
    { op: "c", before: null, after: { id: 2, ...row } },
  ]);
  assert.match(JSON.stringify(watching.status().warnings), /binlog_row_metadata is not FULL: columns are named as they are now/);
  await server.query("SET GLOBAL binlog_row_metadata = FULL");
  await shop.end();
});
