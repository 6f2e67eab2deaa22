import type { Problem, Wanted } from "../config/model.ts";
import { build } from "../pipeline/apply.ts";
import { plan } from "../pipeline/plan.ts";
import { PlanError } from "../pipeline/problems.ts";
import { realClock } from "../sdk/clock.ts";
import type { AnyDefinition } from "../sdk/component.ts";
import { silentLog } from "../sdk/log.ts";
import { memoryStore } from "../storage/memory_store.ts";
import { assemble } from "./assemble.ts";

/** What only the graph as a whole shows: components are created (which has no side effects) and wired, nothing starts. */
export function checkPlan(wanted: Wanted, definitions: readonly AnyDefinition[]): readonly Problem[] {
  const { agent } = assemble({ definitions, clock: realClock, store: memoryStore(), log: silentLog, service: wanted.service });
  try {
    build(plan(new Map(), wanted), wanted, new Map(), agent.applyParts);
    return [];
  } catch (error) {
    if (error instanceof PlanError) return error.problems;
    throw error;
  }
}
