import { startPostgres, type Postgres } from "../../test/support/postgres.ts";
import { say } from "./demo.ts";

/**
 * A PostgreSQL for a demo, with an empty database: in the server that PG_URL names (a superuser's URL), else in one of its own, which is
 * gone afterwards. Says in one line what is missing where there is none.
 */
export async function demoPostgres(database: string): Promise<Postgres> {
  try {
    const skip = (reason?: string): never => {
      throw new Error(reason);
    };
    const postgres = (await startPostgres({ skip }))!;
    await postgres.createDatabase(database);
    return postgres;
  } catch (error) {
    say(`no PostgreSQL: ${(error as Error).message.split("\n", 1)[0]}; PG_URL=postgres://user@host/postgres takes yours`);
    process.exit(1);
  }
}
