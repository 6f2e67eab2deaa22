import assert from "node:assert/strict";
import { checks, config, follow, Ledger, lines, servers, shop } from "./cdc_postgres_support.ts";

const check = checks(servers());

/** Column type, literal, what flows. */
const VALUES: readonly (readonly [type: string, literal: string, flows: unknown])[] = [
  ["bool", "true", true],
  ["int2", "-3", -3],
  ["int8", "9007199254740993", "9007199254740993"],
  ["int8", "-9007199254740991", -9007199254740991],
  ["oid", "42", 42],
  ["numeric", "12345678901234567890.123456789", "12345678901234567890.123456789"],
  ["numeric(10,2)", "10.50", 10.5],
  ["numeric", "'NaN'", "NaN"],
  ["float8", "0.1", 0.1],
  ["float8", "1e300", 1e300],
  ["float4", "0.1", 0.1],
  ["float8", "'-Infinity'", "-Infinity"],
  ["timestamptz", "'2026-11-22 10:00:00.123456+02'", "2026-11-22T08:00:00.123456Z"],
  ["timestamptz", "'infinity'", "infinity"],
  ["timestamp", "'2026-11-22 10:00:00.5'", "2026-11-22T10:00:00.5Z"],
  ["date", "'2026-11-22'", "2026-11-22"],
  ["time", "'10:00:00.000001'", "10:00:00.000001"],
  ["interval", "'1 day 02:03:04'", "1 day 02:03:04"],
  ["json", `'{"b": 1.50, "a": [1, null]}'`, { b: 1.5, a: [1, null] }],
  ["jsonb", `'{"n": 12345678901234567890}'`, { n: "12345678901234567890" }],
  ["uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
  ["bytea", "'\\x00ff10'", "AP8Q"],
  ["text", "E'ü\\n\"x\"'", "ü\n\"x\""],
  ["char(3)", "'a'", "a  "],
  ["inet", "'10.0.0.1/8'", "10.0.0.1/8"],
  ["int4[]", "'{1,NULL,3}'", [1, null, 3]],
  ["int8[]", "'{{1,2},{3,9007199254740993}}'", [[1, 2], [3, "9007199254740993"]]],
  ["text[]", `'{"a,b","NULL",NULL,"q\\"\\\\",""}'`, ["a,b", "NULL", null, "q\"\\", ""]],
  ["int4[]", "'[0:1]={5,6}'", [5, 6]],
  ["timestamptz[]", `'{"2026-11-22 10:00:00.123456+00"}'`, ["2026-11-22T10:00:00.123456Z"]],
  ["jsonb[]", `ARRAY['{"a": 1}'::jsonb]`, [{ a: 1 }]],
  ["bool[]", "'{t,f}'", [true, false]],
  ["mood", "'happy'", "happy"],
  ["mood[]", "'{happy,sad}'", ["happy", "sad"]],
  ["price", "10.50", 10.5],
  ["price[]", "'{1.50}'", [1.5]],
  ["prices", "'{1.50,2}'", [1.5, 2]],
  ["pair", "ROW(1, 'x')", "(1,x)"],
  ["int4range", "'[1,5)'", "[1,5)"],
  ["text", "NULL", null],
];

const TYPES = "CREATE TYPE mood AS ENUM ('happy', 'sad'); CREATE DOMAIN price AS numeric(10,2); CREATE DOMAIN prices AS numeric[]; CREATE TYPE pair AS (a int, b text)";

check("no digit is lost, and snapshot and stream say the same of every type", async (server) => {
  const columns = VALUES.map(([type], i) => `c${i} ${type}`).join(", ");
  const database = await shop(server, "", `${TYPES}; CREATE TABLE orders (id int PRIMARY KEY, ${columns})`);
  // What is said must not depend on what the role or the database is set to.
  await server.sql(database, `ALTER DATABASE "${database}" SET TimeZone = 'Asia/Tokyo'; ALTER DATABASE "${database}" SET DateStyle = 'German'; ALTER DATABASE "${database}" SET bytea_output = 'escape'; ALTER DATABASE "${database}" SET IntervalStyle = 'iso_8601'`);
  const insert = (id: number): string => `INSERT INTO orders VALUES (${id}, ${VALUES.map(([, literal]) => literal).join(", ")})`;
  await server.sql(database, insert(1));
  const ledger = new Ledger();
  await using following = await follow(config(server, database), ledger);
  await lines(ledger, 1, following);
  await server.sql(database, insert(2));
  await lines(ledger, 2, following);
  for (const { after } of ledger.bodies) {
    VALUES.forEach(([type, literal, flows], i) => assert.deepEqual(after![`c${i}`], flows, `${type} ${literal}`));
  }
});

check("a type that was created after the stream began is known", async (server) => {
  const database = await shop(server);
  const ledger = new Ledger();
  await using following = await follow(config(server, database), ledger);
  await server.sql(database, "INSERT INTO orders VALUES (1, 'a', 1)");
  await lines(ledger, 1, following);
  await server.sql(database, `${TYPES}; ALTER TABLE orders ADD COLUMN moods mood[]; INSERT INTO orders VALUES (2, 'a', 1, '{sad}')`);
  assert.deepEqual((await lines(ledger, 2, following)).slice(1), ['c {"id":2,"status":"a","amount":1,"moods":["sad"]}']);
});
