import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { POSTGRES_VERSIONS, startPostgres, type Postgres } from "../support/postgres.ts";
import { config, follow, Ledger, shop, until } from "./cdc_postgres_support.ts";

for (const version of POSTGRES_VERSIONS) {
  describe(`PostgreSQL ${version}`, () => {
    let server: Postgres;
    before(async (t) => {
      const started = await startPostgres(t as never, { version });
      if (started === undefined) throw new Error("skipped");
      server = started;
    });
    after(() => server?.[Symbol.asyncDispose]());

    test("rows that are there come first as r, then every change as it is committed; a rollback leaves no trace", async () => {
      const database = await shop(server, "INSERT INTO orders VALUES (1, 'pending', 10.50), (2, 'paid', 3)");
      const ledger = new Ledger();
      await using following = await follow(config(server, database), ledger);
      await until("snapshot", () => ledger.committed.length >= 2, () => following.recorded.reports);
      await server.sql(database, "UPDATE orders SET status = 'paid' WHERE id = 1");
      await server.sql(database, "BEGIN; INSERT INTO orders VALUES (9, 'x', 1); ROLLBACK");
      await server.sql(database, "BEGIN; INSERT INTO orders VALUES (3, 'new', NULL); SAVEPOINT a; INSERT INTO orders VALUES (8, 'x', 1); ROLLBACK TO a; DELETE FROM orders WHERE id = 2; COMMIT");
      await until("changes", () => ledger.committed.length >= 5, () => [ledger.lines, following.recorded.reports]);
      assert.deepEqual(ledger.lines, [
        'r {"id":1,"status":"pending","amount":10.5}', 'r {"id":2,"status":"paid","amount":3}',
        'u {"id":1,"status":"paid","amount":10.5}', 'c {"id":3,"status":"new","amount":null}', 'd {"id":2}',
      ]);
      await until("caught up", () => following.recorded.caughtUp);
      await following.stop();
      assert.deepEqual(following.recorded.reports, []);
    });
  });
}
