import type { Clock } from "../../src/sdk/clock.ts";
import { Failure, type Expression } from "../../src/sdk/expression.ts";
import { jsonOf } from "../../src/sdk/expression_json.ts";
import { bodyOf, wholeBody, type Attributes, type Json, type Observation } from "../../src/sdk/observation.ts";
import { timeMs } from "../../src/sdk/time.ts";
import { Obstacle, valueAt, withoutValue, withValue, type Path } from "./path.ts";

/** An observation that nobody else has yet: its fields may be replaced. */
export type Draft = { -readonly [Key in keyof Observation]: Observation[Key] };

/** One change. Returns why it cannot be made; then the draft is thrown away. */
export type Step = (draft: Draft) => Obstacle | undefined;

/** Puts the value of an expression at a path. */
export function setting(path: Path, expression: Expression, clock: Clock): Step {
  const noTime = new Obstacle("time: the value is no time; RFC 3339, an epoch number and a timestamp are");
  const tooLarge = new Obstacle(`${path.text}: the value is too large or nested too deeply`);
  return (draft) => {
    const value = expression.evaluate(draft, clock.now());
    if (value instanceof Failure) return new Obstacle(`${path.text}: ${value.message}`);
    if (path.root === "time") {
      const ms = timeMs(value);
      if (ms === undefined) return noTime;
      draft.time = ms;
      return undefined;
    }
    let json: Json;
    try {
      json = jsonOf(value);
    } catch {
      return tooLarge;
    }
    return put(draft, path, json);
  };
}

/** Moves what is at `from` to `to`. Where there is nothing, nothing happens. */
export function renaming(from: Path, to: Path): Step {
  return (draft) => {
    const value = from.root === "body" ? valueAt(wholeBody(draft.body), from.keys) : attributeAt(draft, from);
    if (value === undefined) return undefined;
    remove(draft, from);
    return put(draft, to, value);
  };
}

/** Removes what is at `path`, if anything is. */
export function deletion(path: Path): Step {
  return (draft) => {
    remove(draft, path);
    return undefined;
  };
}

function attributeAt({ attributes }: Draft, { keys }: Path): Json | undefined {
  const name = keys[0]!;
  return Object.hasOwn(attributes, name) ? attributes[name] : undefined;
}

function put(draft: Draft, path: Path, value: Json): Obstacle | undefined {
  if (path.root === "body") {
    const body = withValue(path.keys.length === 0 ? null : wholeBody(draft.body), path, value);
    if (body instanceof Obstacle) return body;
    draft.body = bodyOf(body);
    return undefined;
  }
  if (value === null) {
    remove(draft, path);
    return undefined;
  }
  if (!isAttribute(value)) return new Obstacle(`${path.text}: an attribute holds text, a number, a boolean or a list of text`);
  draft.attributes = { ...draft.attributes, [path.keys[0]!]: value };
  return undefined;
}

function isAttribute(value: Json): value is Attributes[string] {
  return typeof value !== "object" || (Array.isArray(value) && value.every((item) => typeof item === "string"));
}

function remove(draft: Draft, path: Path): void {
  if (path.root === "attributes") {
    draft.attributes = withoutValue(draft.attributes, path.keys) as Attributes;
  } else if (path.keys.length === 0) {
    draft.body = bodyOf({});
  } else {
    draft.body = bodyOf(withoutValue(wholeBody(draft.body), path.keys));
  }
}
