import assert from "node:assert/strict";
import { test } from "node:test";
import { StateNames } from "../../src/resources/state_names.ts";
import { NO_STATE, OTHER_STATE, type TypeDeclaration } from "../../src/sdk/resource.ts";

function declaration(statesMax: number, ...states: string[]): TypeDeclaration {
  return {
    type: "order", states: new Map(states.map((name) => [name, { terminal: false, next: undefined }])), statesKey: "", attributes: [], exhaustive: false,
    loopStates: new Set(), expireTerminalAfterMs: 1, expireAfterMs: undefined, resourcesMax: 10, statesMax,
  };
}

test("beyond states_max every further state is __other__, and declared ones are always themselves", () => {
  const names = new StateNames();
  names.configure(declaration(3, "declared"));
  const [a, b] = [names.id("a"), names.id("b")];
  assert.deepEqual([names.name(a), names.name(b)], ["a", "b"]);
  assert.equal(names.name(names.id("c")), OTHER_STATE);
  assert.equal(names.name(names.id("d")), OTHER_STATE);
  assert.equal(names.name(names.id("a")), "a");
  assert.equal(names.name(names.id("declared")), "declared");
  assert.equal(names.id(NO_STATE), 0);
  names.configure(declaration(3, "declared", "late"));
  assert.equal(names.name(names.id("late")), "late");
});

test("a state that was admitted before a restart keeps its name, however many there are", () => {
  const names = new StateNames();
  for (let i = 0; i < 150; i++) assert.equal(names.name(names.restored(`s${i}`)), `s${i}`);
  names.configure(declaration(100));
  assert.equal(names.name(names.id("s149")), "s149");
  assert.equal(names.name(names.id("new")), OTHER_STATE);
});
