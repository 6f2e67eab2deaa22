import { NO_STATE, OTHER_STATE, type TypeDeclaration } from "../sdk/resource.ts";

/** Id of `NO_STATE`. */
export const NO_STATE_ID = 0;

/**
 * The states of one type as small numbers. Declared states always have one; of the others the first `statesMax`,
 * and the rest are `OTHER_STATE`, so that no source can make the agent's memory or its metrics grow without bound.
 */
export class StateNames {
  readonly #ids = new Map<string, number>([[NO_STATE, NO_STATE_ID]]);
  readonly #names: string[] = [NO_STATE];
  #max = 100;

  get names(): readonly string[] {
    return this.#names;
  }

  configure(declaration: TypeDeclaration): void {
    this.#max = Math.max(declaration.statesMax, declaration.states.size);
    for (const name of declaration.states.keys()) this.#add(name);
  }

  /** The id of a state, made when there is room. */
  id(name: string): number {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    return this.#names.length <= this.#max ? this.#add(name) : (this.#ids.get(OTHER_STATE) ?? this.#add(OTHER_STATE));
  }

  /** The id of a state that comes from the store: it was admitted once, whatever the declaration says now. */
  restored(name: string): number {
    return this.#add(name);
  }

  /** The id of a state that is known, or undefined. */
  known(name: string): number | undefined {
    return this.#ids.get(name);
  }

  name(id: number): string {
    return this.#names[id]!;
  }

  #add(name: string): number {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const id = this.#names.length;
    this.#names.push(name);
    this.#ids.set(name, id);
    return id;
  }
}
