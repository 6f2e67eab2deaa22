import assert from "node:assert/strict";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import test from "node:test";
import { realClock, type Clock } from "../../src/sdk/clock.ts";
import { sharedMariadb, type Mariadb } from "../support/mariadb.ts";
import { freePorts } from "../support/waiting.ts";
import { watch } from "./cdc_mysql_support.ts";

const mariadb = sharedMariadb();

/** Stands between; `stall` swallows what open connections say from then on, without closing them. */
async function proxy(server: Mariadb): Promise<{ readonly port: number; stall(): void; close(): void }> {
  const pairs: [Socket, Socket][] = [];
  const listener = createServer((near) => {
    const far = connect({ host: server.host, port: server.port });
    for (const socket of [near, far]) socket.on("error", () => undefined);
    near.pipe(far).pipe(near);
    pairs.push([near, far]);
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  return {
    port: (listener.address() as AddressInfo).port,
    stall() {
      for (const [near, far] of pairs) {
        for (const socket of [near, far]) {
          socket.unpipe();
          socket.resume();
        }
      }
    },
    close() {
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      listener.close();
    },
  };
}

test("a server that is gone without a word is noticed, and taken up again without loss", async (t) => {
  const server = await mariadb(t);
  if (server === undefined) return;
  const between = await proxy(server);
  t.after(() => between.close());
  const db = await server.createDatabase();
  await server.query(`CREATE TABLE ${db}.orders (id INT PRIMARY KEY)`);
  let later = 0;
  const clock: Clock = { ...realClock, monotonicMs: () => realClock.monotonicMs() + later };
  const url = server.url(db).replace(`:${server.port}/`, `:${between.port}/`);
  await using watching = await watch(t, server, db, ["orders"], { config: { url }, clock });
  await watching.until("it streams", () => watching.recorded.caughtUp);
  await server.query(`INSERT INTO ${db}.orders VALUES (1)`);
  await watching.count(1);
  between.stall();
  await server.query(`INSERT INTO ${db}.orders VALUES (2)`);
  later = 60_000;
  await watching.until("it says so", () => watching.recorded.reports.length > 0);
  assert.match(watching.recorded.reports[0]!, /the server has said nothing for 30 s/);
  await watching.count(2);
  assert.deepEqual(watching.short(), ["c orders 1", "c orders 2"]);
});

test("a server that cannot be reached makes it failing, not the agent; it can be stopped meanwhile", async (t) => {
  const server = await mariadb(t);
  if (server === undefined) return;
  const [port] = await freePorts(1);
  const url = `mysql://u:hush-pa55@127.0.0.1:${port}/shop`;
  await using watching = await watch(t, server, "shop", ["orders"], { config: { url } });
  await watching.until("it is failing", () => watching.recorded.failing !== undefined);
  assert.match(watching.recorded.failing!, /ECONNREFUSED/);
  assert.doesNotMatch(JSON.stringify([watching.recorded, watching.status()]), /pa55/);
  await watching.stop();
});

test("a server that takes connections and says nothing does not hold the stop up", async (t) => {
  const server = await mariadb(t);
  if (server === undefined) return;
  const sockets: Socket[] = [];
  const silent = createServer((socket) => void sockets.push(socket));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const watching = await watch(t, server, "shop", ["orders"], { config: { url: `mysql://u:p@127.0.0.1:${(silent.address() as AddressInfo).port}/shop` } });
  await watching.until("it is connected", () => sockets.length > 0);
  const begin = performance.now();
  await watching.stop();
  assert.ok(performance.now() - begin < 1_000);
});
