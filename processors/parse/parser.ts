import type { Json } from "../../src/sdk/observation.ts";

/** Text that a format cannot read. Returned, not thrown: a log full of bad lines must not cost a stack trace each. */
export class Unreadable {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

/** Reads one text. Never throws. The same text gives an equal value; the caller may keep the value. */
export type Parser = (text: string) => Json | Unreadable;

/** Sets an own property whatever its name: a plain assignment to `__proto__` would set the prototype instead. */
export function setOwn(target: Record<string, Json>, key: string, value: Json): void {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    target[key] = value;
  }
}
