import type { Json } from "../sdk/observation.ts";
import { canonical, sha256 } from "./fingerprint.ts";
import type { Defined, Evaluation, Wired } from "./evaluate.ts";
import type { ComponentConfig, PipelineConfig, RejectedFile, ServiceConfig, Wanted } from "./model.ts";
import { locate } from "./tree.ts";
import { typeOf } from "./uses.ts";

type JsonObject = Readonly<Record<string, Json>>;

function componentOf(made: Defined): ComponentConfig {
  const { kind, id, tree, validated, place } = made;
  const config = validated.value as JsonObject;
  return {
    kind,
    id,
    type: typeOf(id),
    config,
    redacted: validated.redacted as JsonObject,
    fingerprint: canonical(config),
    file: place.file,
    locate: (pointer) => locate(tree, pointer),
  };
}

function pipelineOf(wired: Wired): PipelineConfig {
  const { name, uses, place, tree } = wired;
  return {
    name,
    receivers: uses.receiver.map((use) => use.id),
    processors: uses.processor.map((use) => use.id),
    exporters: uses.exporter.map((use) => use.id),
    file: place.file,
    locate: (pointer) => locate(tree, pointer),
  };
}

/** The model of what was found to be valid, in an order that depends on ids alone. */
export function wantedOf(evaluation: Evaluation, service: ServiceConfig, rejected: readonly RejectedFile[]): Wanted {
  const components = [...evaluation.components].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, made]) => componentOf(made));
  const pipelines = [...evaluation.pipelines].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, wired]) => pipelineOf(wired));
  const shown: Json = {
    components: components.map(({ kind, id, redacted }) => ({ kind, id, redacted })),
    pipelines: pipelines.map(({ name, receivers, processors, exporters }) => ({ name, receivers, processors, exporters })),
    service: evaluation.serviceRedacted,
  };
  return {
    components,
    pipelines,
    service,
    serviceRedacted: evaluation.serviceRedacted as JsonObject,
    locateService: (pointer) => locate(evaluation.serviceTree, pointer),
    tests: evaluation.tests,
    rejected,
    hash: sha256(canonical(shown)),
  };
}
