import type { ConfiguredRule } from "../alerts/alert_state.ts";
import type { ReceiverFailingConfig } from "../config/model.ts";
import { durationMs } from "../sdk/duration.ts";
import type { Scope } from "../sdk/expression.ts";
import type { Template } from "../sdk/template.ts";
import type { PipelineParts } from "./declarations.ts";
import type { Instance } from "./instance.ts";

const ALERT = "ReceiverFailing";
/** One that fails, recovers and fails again within this time is one alert. */
const KEEP_FIRING_FOR_MS = 60_000;

/** One rule for each receiver: its alert goes to whoever is told of what it feeds. */
export function failingRules(pipelines: readonly PipelineParts[], options: ReceiverFailingConfig): ConfiguredRule[] {
  if (!options.enabled) return [];
  const told = new Map<Instance, Set<string>>();
  for (const { receivers, exporters } of pipelines) {
    for (const receiver of receivers) {
      const ids = told.get(receiver) ?? new Set();
      for (const { component, config } of exporters) if (component.notify !== undefined) ids.add(config.id);
      told.set(receiver, ids);
    }
  }
  return [...told].filter(([, exporters]) => exporters.size > 0).map(([{ config }, exporters]) => ruleOf(config.id, config.file, [...exporters].sort(), options));
}

function ruleOf(receiver: string, file: string, exporters: readonly string[], options: ReceiverFailingConfig): ConfiguredRule {
  return {
    declaration: {
      kind: "failing",
      id: `${ALERT}/${receiver}`,
      alert: ALERT,
      type: "",
      receiver,
      labels: new Map([["severity", said(() => options.severity)]]),
      annotations: new Map([["summary", said(({ value }) => `${receiver} cannot be read: ${String(value as string)}; what it feeds is stale`)]]),
      pointer: "",
      forMs: durationMs(options.for),
      keepFiringForMs: KEEP_FIRING_FOR_MS,
    },
    file,
    exporters,
    receivers: [receiver],
  };
}

/** Text of ours, which no user wrote: the reason that a receiver gives is no template. */
function said(render: (scope: Scope) => string): Template {
  return { text: "", reads: { body: new Set(), bodyPaths: [], self: new Set(), scope: new Set(), now: false }, render };
}
