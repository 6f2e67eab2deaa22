import assert from "node:assert/strict";
import { test } from "node:test";
import { describeMissing } from "../../src/config/references.ts";
import { components } from "../../src/components.ts";
import { definitions, workspace } from "./support.ts";

test("a type that a receiver and an exporter have is said to be both, where it stands as a processor", async () => {
  assert.match(describeMissing(components, new Map(), "processor", "webhook/x"), /webhook is a receiver or an exporter$/);
  await using place = await workspace({ "a.yaml": "processors:\n  webhook: {}\n" });
  const both = [...definitions, { ...definitions.find(({ type }) => type === "webhook")!, kind: "exporter" as const }];
  const { problems } = await place.load({ definitions: both });
  assert.deepEqual(place.said(problems), [
    "a.yaml:2:3 processors.webhook: webhook is no processor but a receiver or an exporter; it belongs under receivers or exporters",
  ]);
});
