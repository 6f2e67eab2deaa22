import { startMariadb, type Mariadb } from "../../test/support/mariadb.ts";
import { say } from "./demo.ts";

/**
 * A MariaDB for a demo, with an empty database: in the server that MYSQL_URL names (of a user who may do anything), else in one of its
 * own, which is gone afterwards. Says in one line what is missing where there is none.
 */
export async function demoMariadb(): Promise<{ readonly server: Mariadb; readonly database: string } & AsyncDisposable> {
  const skip = (reason?: string): never => {
    throw new Error(reason);
  };
  try {
    const server = (await startMariadb({ skip }))!;
    const database = await server.createDatabase("sojourn_demo_shop");
    return { server, database, [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose]() };
  } catch (error) {
    say(`no MariaDB: ${(error as Error).message.split("\n", 1)[0]}; MYSQL_URL=mysql://user:password@host/ takes yours`);
    process.exit(1);
  }
}
