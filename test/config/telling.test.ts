import assert from "node:assert/strict";
import { test } from "node:test";
import { components } from "../../src/components.ts";
import { workspace } from "./support.ts";

async function said(notify: string): Promise<{ readonly problems: readonly string[]; readonly warnings: readonly string[] }> {
  await using place = await workspace({ "a.yaml": `monitors:
  order:
    from: { webhook: { listen: 127.0.0.1:0, path: /orders } }
    id: body.id
    notify: { webhook: { url: "https://example.com", ${notify} } }
` });
  const { problems, warnings } = await place.load({ env: {}, definitions: components });
  return { problems: place.said(problems), warnings: place.said(warnings) };
}

test("a repeat_interval of nothing is refused: it would repeat for ever, or was meant as never", async () => {
  for (const interval of ["0s", "500ms"]) {
    const { problems } = await said(`repeat_interval: ${interval}`);
    assert.deepEqual(problems, [`a.yaml:5:71 monitors.order.notify.webhook.repeat_interval: ${interval} is too short; allowed: at least 1s, such as 4h; left out: never`]);
  }
  assert.deepEqual(await said("repeat_interval: 1s"), { problems: [], warnings: [] });
});

test("waiting for others of a group is said to do nothing where there are no groups", async () => {
  const { problems, warnings } = await said("group_wait: 1m, group_interval: 10m");
  assert.deepEqual(problems, []);
  assert.deepEqual(warnings.map((text) => text.split(" ").slice(1, 6).join(" ")), [
    "monitors.order.notify.webhook.group_wait: does nothing without group_by:",
  ]);
  for (const by of ["[alertname]", "[]"]) assert.deepEqual(await said(`group_by: ${by}, group_wait: 1m, group_interval: 10m`), { problems: [], warnings: [] });
});
