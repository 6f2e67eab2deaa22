import assert from "node:assert/strict";
import { test } from "node:test";
import type { ComponentConfig, Wanted } from "../../src/config/model.ts";
import { fingerprintOf, instanceKey, plan } from "../../src/pipeline/plan.ts";

function component(kind: ComponentConfig["kind"], id: string, fingerprint = "1"): ComponentConfig {
  return { kind, id, type: id, config: {}, redacted: {}, fingerprint, file: "a", locate: () => ({ place: { file: "a", line: 1, column: 1 }, path: "" }) };
}

function wanted(components: readonly ComponentConfig[], cluster = "a"): Wanted {
  const ids = (kind: ComponentConfig["kind"]) => components.filter((one) => one.kind === kind && one.id !== "unused").map(({ id }) => id);
  const pipeline = { name: "p", receivers: ids("receiver"), processors: ids("processor"), exporters: ids("exporter"), file: "a", locate: components[0]!.locate };
  return { components, pipelines: [pipeline], service: { external_labels: { cluster } } } as unknown as Wanted;
}

function running(of: Wanted): Map<string, string> {
  return new Map(of.components.map((config) => [instanceKey(config), fingerprintOf(config, of)]));
}

const ALL = [component("receiver", "r"), component("processor", "p"), component("exporter", "e"), component("exporter", "unused")];

test("start-up is a plan from nothing: exporters, processors, then receivers; what no pipeline uses is not made", () => {
  const { keep, create, stop } = plan(new Map(), wanted(ALL));
  assert.deepEqual([keep, create.map(({ id }) => id), stop], [[], ["e", "p", "r"], []]);
});

test("what is unchanged is kept; what changed or went stops, receivers first", () => {
  const next = wanted([component("receiver", "r", "2"), component("processor", "p"), component("exporter", "e2")]);
  const { keep, create, stop } = plan(running(wanted(ALL.slice(0, 3))), next);
  assert.deepEqual([keep, create.map(({ id }) => id), stop], [["processor:p"], ["e2", "r"], ["receiver:r", "exporter:e"]]);
});

test("other external labels make exporters anew, and nothing else", () => {
  const { keep, create } = plan(running(wanted(ALL.slice(0, 3))), wanted(ALL.slice(0, 3), "b"));
  assert.deepEqual([keep, create.map(({ id }) => id)], [["receiver:r", "processor:p"], ["e"]]);
});
