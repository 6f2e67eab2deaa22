import assert from "node:assert/strict";
import { test } from "node:test";
import { harness, orders } from "../support/agent.ts";

const stored = (size = 10_000): string => orders({ exporters: `sink: { sending_queue: { storage: true, queue_size: ${size} } }` });
const order = (id: string) => ({ id, status: "paid", amount: 7 });
const ids = (exported: readonly { observation: { self?: { id: string } | undefined } }[]): (string | undefined)[] => exported.map(({ observation }) => observation.self?.id);

test("with storage, observations that wait for an exporter survive a crash, as they were, and leave in order", async () => {
  await using h = await harness(stored());
  h.destinations.export = () => Promise.reject(new Error("down"));
  await h.send("feed", [order("o1"), order("o2")]);
  await h.send("feed", order("o3"));
  await h.restart();
  assert.equal(h.exported.length, 0);
  h.destinations.export = () => undefined;
  await h.advance(60_000);
  const { exported } = h;
  assert.deepEqual(ids(exported), ["o1", "o2", "o3"]);
  const { observation }: (typeof exported)[number] = exported[0]!;
  assert.deepEqual([observation.self?.state, observation.self?.attribute("amount"), observation.body], ["paid", 7, order("o1")]);
  await h.restart();
  await h.advance(60_000);
  assert.equal(h.exported.length, 3, "what was sent is not sent again");
});

test("without storage a crash takes what waits; with it, a stop in order drops nothing", async () => {
  await using memory = await harness(orders({ exporters: "sink: {}" }));
  memory.destinations.export = () => Promise.reject(new Error("down"));
  await memory.send("feed", order("o1"));
  await memory.restart();
  memory.destinations.export = () => undefined;
  await memory.advance(60_000);
  assert.deepEqual(memory.exported, []);

  await using h = await harness(stored());
  h.destinations.export = () => Promise.reject(new Error("down"));
  await h.send("feed", order("o1"));
  const dropped = h.now.own.exporterDroppedObservations.series("sink", "stopped");
  await h.stop();
  assert.equal(dropped.value, 0);
});

test("the stored queue is bounded like the other, and an exporter that is removed takes its queue along", async () => {
  await using h = await harness(stored(2));
  h.destinations.export = () => Promise.reject(new Error("down"));
  for (const id of ["o1", "o2", "o3"]) await h.send("feed", order(id));
  assert.equal(h.now.own.exporterDroppedObservations.series("sink", "queue_full").value, 1);
  await h.reload(orders());
  assert.equal(h.now.own.exporterDroppedObservations.series("sink", "stopped").value, 2);
  await h.advance(10_000);
  await h.restart(0, stored(2));
  h.destinations.export = () => undefined;
  await h.advance(60_000);
  assert.deepEqual(h.exported, []);
});
